"""Requests over a real socket, to a server that does its worst."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from akri.clock import SystemClock
from akri.core.errors import OutcomeUnknownError
from akri.core.metadata import JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError, NotSentError
from akri.platforms.kubernetes.client import JSON_PATCH, ApiClient
from akri.platforms.kubernetes.connection import Connection
from tests.unit.platforms.kubernetes.scripted import Call, Exchange, Script, client_of, listing, scripted, status

OBJECT = {"kind": "ConfigMap", "metadata": {"name": "a"}}
PATH = "/api/v1/namespaces/default/configmaps/a"


def recorded(calls: list[Call], script: Script) -> Script:
    async def recording(exchange: Exchange) -> None:
        calls.append(exchange.call)
        await script(exchange)

    return recording


def in_turn(*scripts: Script) -> Script:
    """The first script for the first request and so on; the last one for all that follow."""
    left = list(scripts)

    async def script(exchange: Exchange) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return script


def answering(document: object, code: int = 200, content_type: str = "application/json", **headers: str) -> Script:
    async def script(exchange: Exchange) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        await exchange.answer(body, code, content_type, {name.replace("_", "-"): value for name, value in headers.items()})

    return script


async def cutting(exchange: Exchange) -> None:
    exchange.cut()


async def silent(_exchange: Exchange) -> None:
    await asyncio.sleep(3600)


def writing(client: ApiClient, method: str = "PATCH", seconds: float = 4.0) -> Awaitable[JsonObject]:
    return client.request(method, PATH, body=[{"op": "test", "path": "/a", "value": ""}], content_type=JSON_PATCH, seconds=seconds)


async def test_a_request_goes_out_as_it_was_asked_for() -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, answering(OBJECT)), lambda url: Connection(url, token=lambda: "secret")) as client:
        answer = await client.request(
            "PATCH", PATH, body=[{"op": "add", "path": "/x", "value": "ü"}], content_type=JSON_PATCH, parameters={"fieldManager": "a b&c"}
        )

    assert answer == OBJECT
    [call] = calls
    assert (call.method, call.path, call.parameters) == ("PATCH", PATH, {"fieldManager": "a b&c"})
    assert json.loads(call.body) == [{"op": "add", "path": "/x", "value": "ü"}]
    assert call.headers["content-type"] == JSON_PATCH
    assert call.headers["authorization"] == "Bearer secret"
    assert call.headers["accept"] == "application/json"


async def test_without_a_token_nothing_is_said_of_one() -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, answering(OBJECT))) as client:
        await client.request("GET", PATH)

    assert "authorization" not in calls[0].headers
    assert "content-type" not in calls[0].headers


async def test_one_connection_serves_one_request_after_the_other() -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, answering(OBJECT))) as client:
        for _ in range(5):
            await client.request("GET", PATH)

    assert {call.connection for call in calls} == {0}


@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 422])
async def test_a_refusal_is_raised_at_once(code: int) -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, answering(status(code, "Because", "it says why"), code))) as client:
        with pytest.raises(ApiStatusError, match="it says why") as raised:
            await writing(client)

    assert (raised.value.status, raised.value.reason) == (code, "Because")
    assert len(calls) == 1


@pytest.mark.parametrize("code", [500, 502, 503, 504])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_that_may_have_taken_effect_is_never_sent_again(code: int, method: str) -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, answering(status(code, "Sorry"), code))) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await writing(client, method)

    assert not isinstance(raised.value, NotSentError)
    assert len(calls) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_is_not_sent_again_when_a_kept_connection_breaks(method: str) -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, in_turn(answering(OBJECT), cutting, answering(status(409, "Conflict"), 409)))) as client:
        await client.request("GET", PATH)
        with pytest.raises(OutcomeUnknownError):
            await writing(client, method)

    assert [call.method for call in calls] == ["GET", method]


async def test_a_read_is_sent_again_when_its_answer_is_lost() -> None:
    calls: list[Call] = []
    script = in_turn(cutting, answering(status(500, ""), 500), answering(b"<html>", 502, "text/html"), answering(OBJECT))
    async with client_of(recorded(calls, script)) as client:
        assert await client.request("GET", PATH) == OBJECT

    assert len(calls) == 4


@pytest.mark.parametrize(
    "refusal",
    [
        answering(b"Too many requests, please try again later.", 429, "text/plain", Retry_After="1"),
        answering(status(429, "TooManyRequests"), 429, Retry_After="1"),
        answering(status(503, "ServiceUnavailable"), 503, Retry_After="1"),
    ],
)
async def test_a_write_that_the_server_put_off_is_sent_again_after_the_time_it_asked_for(refusal: Script) -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, in_turn(refusal, answering(OBJECT)))) as client:
        began = time.monotonic()
        assert await writing(client) == OBJECT
        assert 1.0 <= time.monotonic() - began < 2.0

    assert len(calls) == 2


async def test_put_off_for_too_long_it_is_refused_without_having_done_anything() -> None:
    script = answering(b"Too many requests", 429, "text/plain", Retry_After="5")
    async with client_of(script) as client:
        with pytest.raises(ApiStatusError, match="Too many requests") as raised:
            await writing(client)

    assert (raised.value.status, raised.value.wait) == (429, 5.0)


async def test_a_refused_token_is_fetched_anew_once() -> None:
    tokens = ["old", "new"]
    calls: list[Call] = []

    async def renew() -> None:
        tokens.pop(0)

    def connection(url: str) -> Connection:
        return Connection(url, token=lambda: tokens[0], renew=renew)

    script = in_turn(answering(status(401, "Unauthorized"), 401), answering(OBJECT))
    async with client_of(recorded(calls, script), connection) as client:
        assert await writing(client) == OBJECT
    assert [call.headers["authorization"] for call in calls] == ["Bearer old", "Bearer new"]

    tokens[:] = ["old", "new"]
    calls.clear()
    async with client_of(recorded(calls, answering(status(401, "Unauthorized"), 401)), connection) as client:
        with pytest.raises(ApiStatusError) as raised:
            await writing(client)
    assert raised.value.status == 401
    assert len(calls) == 2


async def test_a_server_that_is_not_there_got_nothing() -> None:
    async with scripted(answering(OBJECT)) as url:
        pass
    async with ApiClient(Connection(url), SystemClock()) as client:
        began = time.monotonic()
        with pytest.raises(NotSentError, match="no connection"):
            await writing(client, seconds=0.5)
        assert 0.2 < time.monotonic() - began < 2.0


async def test_a_server_that_says_nothing_leaves_the_outcome_unknown() -> None:
    async with client_of(silent) as client:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknownError) as raised:
            await writing(client, seconds=0.3)
        assert time.monotonic() - began < 1.5

    assert not isinstance(raised.value, NotSentError)


async def _half_an_answer(exchange: Exchange) -> None:
    await exchange.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"kind":')
    exchange.cut()


async def _no_http(exchange: Exchange) -> None:
    await exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.mark.parametrize(
    "script",
    [
        answering(b"<html>Bad gateway</html>", 200, "text/html"),
        answering(b"<html>Not found</html>", 404, "text/html"),
        answering(b"404 page not found\n", 404, "text/plain"),
        answering(b"{", 200),
        answering(b"[]", 200),
        answering(b'"text"', 200),
        answering(b"", 200),
        answering(b"\xff\xfe", 200),
        answering(b"[" * 100_000, 200),
        answering(OBJECT, 200, "application/vnd.kubernetes.protobuf"),
        answering(b"", 302, Location="http://127.0.0.1:1/"),
        _half_an_answer,
        _no_http,
    ],
)
async def test_what_is_no_answer_of_kubernetes_proves_nothing(script: Callable[[Exchange], Awaitable[None]]) -> None:
    async with client_of(script) as client:
        with pytest.raises(OutcomeUnknownError) as raised:
            await writing(client)

    assert not isinstance(raised.value, NotSentError)


def items(first: int, last: int) -> list[JsonObject]:
    return [{"metadata": {"name": f"a{number}"}} for number in range(first, last)]


async def test_a_list_comes_in_pages() -> None:
    calls: list[Call] = []
    script = in_turn(
        answering(listing(*items(0, 2), more="t1")), answering(listing(*items(2, 4), more="t2")), answering(listing(*items(4, 5)))
    )
    async with client_of(recorded(calls, script)) as client:
        found, revision = await client.list_pages("/api/v1/configmaps", {"labelSelector": "x=y"}, limit=2)

    assert (found, revision) == (items(0, 5), "10")
    assert [call.parameters for call in calls] == [
        {"labelSelector": "x=y", "limit": "2"},
        {"labelSelector": "x=y", "limit": "2", "continue": "t1"},
        {"labelSelector": "x=y", "limit": "2", "continue": "t2"},
    ]


async def test_an_expired_token_begins_the_list_again_and_then_in_one_piece() -> None:
    calls: list[Call] = []
    page, expired = answering(listing(*items(0, 2), more="t1")), answering(status(410, "Expired"), 410)
    script = in_turn(page, expired, page, expired, answering(listing(*items(0, 4), revision=12)))
    async with client_of(recorded(calls, script)) as client:
        assert await client.list_pages("/api/v1/configmaps") == (items(0, 4), "12")

    assert [call.parameters for call in calls] == [
        {"limit": "500"},
        {"limit": "500", "continue": "t1"},
        {"limit": "500"},
        {"limit": "500", "continue": "t1"},
        {},
    ]


@pytest.mark.parametrize(
    "answer", [{"kind": "List"}, {"kind": "List", "metadata": {}}, {"kind": "List", "metadata": {"resourceVersion": 7}}]
)
async def test_what_is_no_list_is_no_empty_list(answer: JsonObject) -> None:
    async with client_of(answering(answer)) as client:
        with pytest.raises(OutcomeUnknownError, match="not a list"):
            await client.list_pages("/api/v1/configmaps")


async def test_a_base_url_may_have_a_path() -> None:
    calls: list[Call] = []
    async with client_of(recorded(calls, answering(OBJECT)), lambda url: Connection(f"{url}/k8s/clusters/c-1")) as client:
        await client.request("GET", "/api/v1/pods")

    assert calls[0].path == "/k8s/clusters/c-1/api/v1/pods"


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await ApiClient(Connection("http://127.0.0.1:1"), SystemClock()).request("GET", "/")
