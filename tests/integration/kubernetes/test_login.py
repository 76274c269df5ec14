"""Logging in to a real API server: as a pod does, by a kubeconfig, and with a token that is taken away."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from akri.core.errors import InvalidDocumentError
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError, NotSentError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from akri.platforms.kubernetes.kubeconfig import from_kubeconfig
from akri.platforms.kubernetes.login import in_pod, ssl_context
from tests.cluster.admin import Admin
from tests.cluster.api_server import ApiServer
from tests.integration.kubernetes.watched import CLOCK

REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def who(client: ApiClient) -> str:
    """The name under which the server knows the client."""
    body: JsonObject = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await client.request("POST", REVIEW, body=body)
    match answer:
        case {"status": {"userInfo": {"username": str(name)}}}:
            return name
        case _:
            raise AssertionError(answer)


def pod_folder(server: ApiServer, token: str, folder: Path) -> tuple[dict[str, str], Path]:
    """What the kubelet gives to a pod: variables, and a folder with a token and the authority's certificate."""
    url = urlsplit(server.url)
    (folder / "token").write_text(token, encoding="ascii")
    (folder / "ca.crt").write_bytes(server.ca_file.read_bytes())
    return {"KUBERNETES_SERVICE_HOST": str(url.hostname), "KUBERNETES_SERVICE_PORT": str(url.port)}, folder


async def test_as_a_pod(api_server: ApiServer, admin: Admin, namespace: str, tmp_path: Path) -> None:
    environment, folder = pod_folder(api_server, await admin.token_for("agent", namespace, node="node-login"), tmp_path)
    async with ApiClient(in_pod(environment, CLOCK, folder), CLOCK) as client:
        assert await who(client) == f"system:serviceaccount:{namespace}:agent"


@pytest.mark.timeout(120)
async def test_a_token_that_is_taken_away_is_read_anew(api_server: ApiServer, admin: Admin, namespace: str, tmp_path: Path) -> None:
    """The file holds another one long before the minute is over; what makes the client look is the server's 401."""
    environment, folder = pod_folder(api_server, await admin.token_for("agent", namespace), tmp_path)
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/agent"
    connection = in_pod(environment, CLOCK, folder)
    async with ApiClient(connection, CLOCK) as client:
        former = connection.token()
        await who(client)
        await admin.request("DELETE", account)
        fresh = await admin.token_for("agent", namespace)
        (folder / "token").write_text(fresh, encoding="ascii")
        for _ in range(200):  # the server remembers for ten seconds that the former one was good
            await who(client)
            if connection.token() != former:
                break
            await asyncio.sleep(0.2)
        assert connection.token() == fresh


async def test_a_token_that_nobody_knows_is_refused(api_server: ApiServer) -> None:
    connection = Connection(api_server.url, ssl_context(api_server.ca_file), lambda: "nobody")
    async with ApiClient(connection, CLOCK) as client:
        with pytest.raises(ApiStatusError) as raised:
            await who(client)
    assert raised.value.status == 401


async def test_a_server_with_a_certificate_of_another_authority_gets_nothing(api_server: ApiServer) -> None:
    connection = Connection(api_server.url, ssl_context(), lambda: api_server.admin_token)
    async with ApiClient(connection, CLOCK) as client:
        with pytest.raises(NotSentError, match="certificate"):
            await client.request("GET", "/api/v1/namespaces", seconds=0.5)


async def test_by_a_kubeconfig(api_server: ApiServer) -> None:
    async with ApiClient(await from_kubeconfig(api_server.kubeconfig), CLOCK) as client:
        assert (await client.request("GET", "/api/v1/namespaces/default"))["kind"] == "Namespace"
    with pytest.raises(InvalidDocumentError, match="elsewhere"):
        await from_kubeconfig(api_server.kubeconfig, "elsewhere")


async def test_by_a_plug_in(api_server: ApiServer, tmp_path: Path) -> None:
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": api_server.admin_token}}
    (tmp_path / "credential").write_text(json.dumps(credential), encoding="utf-8")
    plugin = {"apiVersion": credential["apiVersion"], "command": "cat", "args": [str(tmp_path / "credential")], "interactiveMode": "Never"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": api_server.url, "certificate-authority": str(api_server.ca_file)}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(document), encoding="utf-8")
    async with ApiClient(await from_kubeconfig(tmp_path / "kubeconfig"), CLOCK) as client:
        assert await who(client)
