"""The controller's side of the tests in this folder: its token under deploy/, its client, and objects for its actions to be about."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
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


async def _account_in(admin: Admin, namespace: str) -> None:
    """Without a service account no pod can be created. Where its controller runs, that makes one too."""
    await admin.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})


async def owner_in(admin: Admin, namespace: str) -> OwnerReference:
    """An owner that stays, whether something collects garbage or not."""
    await _account_in(admin, namespace)
    made = await admin.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner", "namespace": namespace}})
    return OwnerReference("v1", "ConfigMap", "owner", made["metadata"]["uid"], controller=True)


async def instance_in(admin: Admin, namespace: str, nodes: Sequence[str] = ("node-a", "node-b")) -> tuple[ObjectKey, str]:
    """A Configuration without brokers and an Instance of it, in a namespace that is ready for pods; returns the Instance's key and uid."""
    await admin.ensure("Namespace", namespace)
    await _account_in(admin, namespace)
    kind = {"apiVersion": "akri.sh/v0", "kind": "Configuration"}
    spec: Manifest = {"discoveryHandler": {"name": "debugEcho"}, "capacity": 2}
    owner = await admin.create({**kind, "metadata": {"name": "cam", "namespace": namespace}, "spec": spec})
    reference = {**kind, "name": "cam", "uid": owner["metadata"]["uid"], "controller": True}
    made = await admin.create(
        {
            "apiVersion": "akri.sh/v0",
            "kind": "Instance",
            "metadata": {"name": "cam-8120fe", "namespace": namespace, "ownerReferences": [reference]},
            "spec": {
                "configurationName": "cam",
                "cdiName": "akri.sh/cam=8120fe",
                "capacity": 2,
                "shared": True,
                "nodes": list(nodes),
                "deviceUsage": {"cam-8120fe-0": "", "cam-8120fe-1": ""},
                "brokerProperties": {"DEBUG_ECHO_DESCRIPTION": "foo0"},
            },
        }
    )
    return ObjectKey(namespace, "cam-8120fe"), made["metadata"]["uid"]


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
