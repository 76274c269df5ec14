"""The controller's side of the tests in this folder: its token under deploy/, its client, and objects for its actions to be about."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from akri.clock import SystemClock
from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import JsonObject, OwnerReference
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.ports import Outcome, Refusal, Refused
from akri.scheduling.model import CreatePod, CreateService, UpdateService
from tests.cluster.admin import Admin, Manifest
from tests.cluster.api_server import ApiServer
from tests.guards.tree import ROOT

__all__ = [
    "LABELS",
    "POD",
    "PORTS",
    "connected",
    "installed_token",
    "owner_in",
    "pod_in",
    "refusal_of",
    "service_in",
    "stored_service",
    "update_of",
]

LABELS = {"controller": "akri.sh", "akri.sh/instance": "cam-8120fe"}
POD: JsonObject = {
    "containers": [{"name": "main", "image": "localhost/none:1"}],
    "restartPolicy": "Never",
    "automountServiceAccountToken": False,
}
PORTS: JsonObject = {"ports": [{"name": "rtsp", "port": 554}], "selector": {"akri.sh/instance": "cam-8120fe"}}


async def installed_token(server: ApiServer, account: str = "akri-controller", node: str | None = None) -> str:
    """The token of an account, with all of deploy/ in force."""
    async with server.admin() as admin:
        await admin.install(ROOT / "deploy")
        return await admin.token_for(account, "akri", node=node)


@asynccontextmanager
async def connected(server: ApiServer, token: str, url: str = "") -> AsyncGenerator[ApiClient]:
    """A client with this token, straight to the server, or by way of a proxy's `url`."""
    context = None if url else ssl.create_default_context(cafile=str(server.ca_file))
    async with ApiClient(Connection(url or server.url, context, lambda: token), SystemClock()) as client:
        yield client


async def owner_in(admin: Admin, namespace: str) -> OwnerReference:
    """An owner that stays, whether something collects garbage or not. Without a service account no pod could be created."""
    await admin.ensure("ServiceAccount", "default", namespace)
    made = await admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}})
    return OwnerReference("v1", "ConfigMap", "owner", made["metadata"]["uid"], controller=True)


def pod_in(namespace: str, owner: OwnerReference, spec: JsonObject = POD) -> CreatePod:
    key, instance = ObjectKey(namespace, "cam-8120fe-pod"), ObjectKey(namespace, "cam-8120fe")
    return CreatePod(key, instance, NodeName("node-a"), owner, LABELS, {}, spec)


def service_in(namespace: str, owner: OwnerReference, spec: JsonObject = PORTS) -> CreateService:
    about = ObjectKey(namespace, "cam-8120fe")
    return CreateService(ObjectKey(namespace, "cam-svc"), about, owner, LABELS, {"akri.sh/broker-hash": "a"}, spec)


def update_of(made: Manifest, spec: JsonObject, made_from: str = "b") -> UpdateService:
    """Bring the service that was made to another spec."""
    metadata = made["metadata"]
    key = ObjectKey(metadata["namespace"], metadata["name"])
    return UpdateService(key, metadata["uid"], LABELS, {"akri.sh/broker-hash": made_from}, spec)


async def stored_service(admin: Admin, namespace: str) -> Manifest:
    return await admin.get(f"/api/v1/namespaces/{namespace}/services/cam-svc")


def refusal_of(outcome: Outcome) -> tuple[Refusal, str]:
    """Why a write was refused, and what was said of it."""
    assert isinstance(outcome, Refused), outcome
    return outcome.refusal, outcome.message
