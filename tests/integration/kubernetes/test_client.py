"""The lean client against a real API server."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError, NotSentError
from akri.platforms.kubernetes.client import JSON_PATCH
from akri.platforms.kubernetes.resources import CONFIG_MAPS, INSTANCES
from akri.platforms.kubernetes.watch_events import identity_of, parse_event
from tests.cluster.api_server import ApiServer
from tests.cluster.settings import Settings
from tests.integration.kubernetes.watched import map_named, opened


async def test_an_object_lives_and_each_refusal_has_its_status(api_server: ApiServer, namespace: str) -> None:
    key = ObjectKey(namespace, "a")
    path, collection = CONFIG_MAPS.object(key), CONFIG_MAPS.collection(namespace)

    async def refused(method: str, where: str, body: Json = None, kind: str = "application/json") -> tuple[int, str]:
        with pytest.raises(ApiStatusError) as raised:
            await client.request(method, where, body=body, content_type=kind)
        return raised.value.status, raised.value.reason

    async with opened(api_server) as client:
        assert await refused("GET", path) == (404, "NotFound")
        made = await client.request("POST", collection, body=map_named("a", "1"))
        assert made["data"] == {"text": "1"}
        assert await refused("POST", collection, map_named("a")) == (409, "AlreadyExists")
        test = {"op": "test", "path": "/data/text", "value": "2"}
        assert await refused("PATCH", path, [test], JSON_PATCH) == (422, "Invalid")
        patched = await client.request("PATCH", path, body=[{"op": "replace", "path": "/data/text", "value": "ü"}], content_type=JSON_PATCH)
        assert patched["data"] == {"text": "ü"}
        assert await refused("PUT", path, made) == (409, "Conflict")
        assert await refused("DELETE", path, {"preconditions": {"uid": "another"}}) == (409, "Conflict")
        assert (await client.request("DELETE", path))["kind"] == "Status"
        assert await refused("DELETE", path) == (404, "NotFound")


async def test_a_kind_that_is_not_served_is_not_an_object_that_is_not_there(fresh_api_server: ApiServer) -> None:
    async with opened(fresh_api_server) as client:
        with pytest.raises(OutcomeUnknownError, match="404"):
            await client.request("GET", INSTANCES.object(ObjectKey("default", "cam-8120fe")), seconds=0.5)


async def test_a_list_in_pages_is_that_of_one_moment(api_server: ApiServer, namespace: str) -> None:
    collection = CONFIG_MAPS.collection(namespace)
    async with opened(api_server) as client:
        await asyncio.gather(*(client.request("POST", collection, body=map_named(f"a{number:03}"), seconds=30) for number in range(250)))
        seen = 0

        def name_of(document: JsonObject) -> str:
            nonlocal seen
            seen += 1
            return identity_of(document).key.name

        names, revision = await client.list_as(name_of, collection, limit=60)
        whole, _ = await client.list_pages(collection, limit=0)
        spare, _ = await client.list_as(lambda document: "data" in document, collection, metadata_only=True)

    assert (names, seen) == ([f"a{number:03}" for number in range(250)], 250)
    assert len(whole) == 250
    assert int(revision) > 0
    assert spare == [False] * 250


async def test_an_expired_continue_token_begins_the_list_again(fresh_api_server: ApiServer) -> None:
    """Compaction takes the snapshot away between two pages; the restart of the server takes its cache."""
    collection = CONFIG_MAPS.collection("default")
    async with opened(fresh_api_server) as client:
        for number in range(6):
            await client.request("POST", collection, body=map_named(f"a{number}"))
        page = await client.request("GET", collection, parameters={"limit": "2"})
        metadata = page["metadata"]
        assert isinstance(metadata, dict)
        await client.request("DELETE", CONFIG_MAPS.object(ObjectKey("default", "a3")))
        await compact(fresh_api_server, await revision_of_now(fresh_api_server))
        await fresh_api_server.restart_part("kube-apiserver")
        with pytest.raises(ApiStatusError) as raised:
            await client.request("GET", collection, parameters={"limit": "2", "continue": str(metadata["continue"])}, seconds=10)
        assert raised.value.expired
        found, _ = await client.list_pages(collection, limit=2)

        old = {"watch": "1", "resourceVersion": str(metadata["resourceVersion"]), "timeoutSeconds": "2"}
        with pytest.raises(ApiStatusError) as told:
            async with client.stream(collection, old, silence=5) as stream:
                parse_event((await stream.piece()).splitlines()[0])

    assert [identity_of(document).key.name for document in found] == ["a0", "a1", "a2", "a4", "a5"]
    assert told.value.expired


async def test_a_server_that_is_stopped_got_nothing_and_one_that_hangs_may_have(fresh_api_server: ApiServer) -> None:
    collection = CONFIG_MAPS.collection("default")
    async with opened(fresh_api_server) as client:
        await client.request("GET", collection)
        fresh_api_server.part("kube-apiserver").pause()
        with pytest.raises(OutcomeUnknownError) as raised:
            await client.request("POST", collection, body=map_named("late"), seconds=0.5)
        assert not isinstance(raised.value, NotSentError)
        fresh_api_server.part("kube-apiserver").resume()
        await fresh_api_server.part("kube-apiserver").kill()
        with pytest.raises(OutcomeUnknownError):
            await client.request("POST", collection, body=map_named("never"), seconds=0.5)
        with pytest.raises(NotSentError):
            await client.request("POST", collection, body=map_named("never"), seconds=0.5)
        await fresh_api_server.start()
        found, _ = await client.list_pages(collection)

    assert "never" not in str(found)


async def revision_of_now(server: ApiServer) -> int:
    async with opened(server) as client:
        _, revision = await client.list_pages(CONFIG_MAPS.collection("default"))
    return int(revision)


async def compact(server: ApiServer, revision: int) -> None:
    """Let etcd forget everything before this revision."""
    port = Settings.load(server.state).ports["etcd"]
    body = json.dumps({"revision": str(revision), "physical": True}).encode()

    def post() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v3/kv/compaction", data=body, timeout=10) as answer:
            answer.read()

    await asyncio.to_thread(post)
