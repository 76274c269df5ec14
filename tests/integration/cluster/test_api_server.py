"""etcd and API server as processes: what they promise the tests, and what they survive."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.cluster.admin import JSON_PATCH, Admin, Manifest, RequestError
from tests.cluster.api_server import ApiServer
from tests.cluster.processes import eventually

_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def config_map(name: str, namespace: str = "default", **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


async def test_token_of_a_service_account_names_its_node(admin: Admin, namespace: str) -> None:
    token = await admin.token_for("akri-agent", namespace, node="node-of-token")
    review = await admin.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", _REVIEW, token=token)
    user = review["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{namespace}:akri-agent"
    assert user["extra"]["authentication.kubernetes.io/node-name"] == ["node-of-token"]


async def test_token_without_a_node_names_none_and_may_nothing(admin: Admin, namespace: str) -> None:
    token = await admin.token_for("somebody", namespace)
    review = await admin.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", _REVIEW, token=token)
    assert "authentication.kubernetes.io/node-name" not in review["status"]["userInfo"]["extra"]
    with pytest.raises(RequestError, match="cannot list resource") as caught:
        await admin.list("/api/v1/nodes", token=token)
    assert caught.value.status == 403


async def test_objects_are_made_read_changed_and_deleted(admin: Admin, namespace: str) -> None:
    manifest = config_map("one", namespace, a="1")
    await admin.create(manifest)
    await admin.patch(manifest, {"data": {"b": "2"}})
    await admin.patch(
        manifest, [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "remove", "path": "/data/a"}], content_type=JSON_PATCH
    )
    assert (await admin.get(manifest))["data"] == {"b": "2"}
    await admin.apply(config_map("one", namespace, b="3"))
    found = await admin.get(manifest)
    await admin.replace({**found, "data": {"c": "4"}})
    with pytest.raises(RequestError) as caught:
        await admin.replace(found)
    assert caught.value.status == 409
    assert [item["data"] for item in await admin.list(f"/api/v1/namespaces/{namespace}/configmaps")] == [{"c": "4"}]
    await admin.delete(manifest)
    assert await admin.find(manifest) is None


async def test_audit_log_has_each_write(api_server: ApiServer, admin: Admin, namespace: str) -> None:
    await admin.create(config_map("audited", namespace))
    with pytest.raises(RequestError):
        await admin.create(config_map("audited", namespace))

    async def both_written() -> bool:
        return answers(api_server, f"/api/v1/namespaces/{namespace}/configmaps") == [201, 409]

    await eventually(both_written, seconds=5, what="two lines of the audit log")


def answers(server: ApiServer, path: str) -> list[int]:
    """HTTP statuses of the POST requests to a path, in the order of the audit log."""
    lines: list[Any] = [json.loads(line) for line in server.audit_log.read_text(encoding="utf-8").splitlines()]
    return [line["responseStatus"]["code"] for line in lines if line["verb"] == "create" and line["requestURI"] == path]


async def test_owned_objects_go_with_their_owner(api_server: ApiServer, admin: Admin, namespace: str) -> None:
    await api_server.start_controller_manager()
    owner = await admin.create(config_map("owner", namespace))
    owned = config_map("owned", namespace)
    owned["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]
    await admin.create(owned)
    await admin.create(config_map("free", namespace))
    await admin.delete(owner)

    async def gone() -> bool:
        return await admin.find(owned) is None

    await eventually(gone, seconds=20, what="the owned ConfigMap to be collected")
    left = {item["metadata"]["name"] for item in await admin.list(f"/api/v1/namespaces/{namespace}/configmaps")}
    assert left & {"owner", "owned", "free"} == {"free"}


async def test_data_survives_restarts_and_kills(fresh_api_server: ApiServer) -> None:
    server = fresh_api_server
    async with server.admin() as admin:
        await admin.create(config_map("kept"))
        await server.restart_part("kube-apiserver")
        assert await admin.find(config_map("kept"))
    await server.part("etcd").kill()
    await server.part("kube-apiserver").kill()
    await server.start()
    async with server.admin() as admin:
        assert await admin.find(config_map("kept"))


async def test_paused_server_answers_later(fresh_api_server: ApiServer) -> None:
    async with fresh_api_server.admin() as admin:
        fresh_api_server.part("kube-apiserver").pause()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await admin.get("/version")
        fresh_api_server.part("kube-apiserver").resume()
        assert (await admin.get("/version"))["gitVersion"] == "v1.36.3"
