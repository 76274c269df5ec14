"""The faulty proxy before a real API server: each fault does what its name says, to both sides, and nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from attrs import define

from tests.cluster.api_server import ApiServer
from tests.cluster.processes import eventually
from tests.cluster.proxy import FaultyProxy
from tests.cluster.proxy_faults import Answer, CutWatch, Delay, DropAnswer, DropRequest, ExpireWatch, Fault, HoldWatch, Late, WatchFault

MAPS = "/api/v1/namespaces/default/configmaps"
LOST = (aiohttp.ClientError, OSError)


@define
class Client:
    """A plain client: no retries, no pool of connections that could hide a lost one."""

    url: str
    session: aiohttp.ClientSession
    name: str

    async def call(self, method: str, path: str, body: object = None, kind: str = "application/json") -> tuple[int, Any]:
        headers = {"Content-Type": kind}
        data = json.dumps(body) if body is not None else None
        async with self.session.request(method, self.url + path, data=data, headers=headers) as response:
            return response.status, await response.json()

    async def create(self) -> int:
        status, _ = await self.call("POST", MAPS, {"metadata": {"name": self.name}, "data": {"key": "old"}})
        return status

    async def patch(self, revision: str | None = None) -> int:
        test = [{"op": "test", "path": "/metadata/resourceVersion", "value": revision}] if revision else []
        patch = [*test, {"op": "replace", "path": "/data/key", "value": uuid4().hex}]
        status, _ = await self.call("PATCH", f"{MAPS}/{self.name}", patch, "application/json-patch+json")
        return status

    async def read(self) -> Any:  # noqa: ANN401 - JSON
        status, found = await self.call("GET", f"{MAPS}/{self.name}")
        return found if status == 200 else None

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[aiohttp.StreamReader]:
        query = f"?watch=true&fieldSelector=metadata.name={self.name}&timeoutSeconds=30"
        async with self.session.get(self.url + MAPS + query) as response:
            assert response.status == 200
            yield response.content


async def line(content: aiohttp.StreamReader, seconds: float = 30.0) -> Any:  # noqa: ANN401 - JSON
    async with asyncio.timeout(seconds):
        text = await content.readline()
    return json.loads(text) if text else None


async def added(content: aiohttp.StreamReader) -> None:
    """The first line of a watch of one object."""
    found = await line(content)
    assert found["type"] == "ADDED", found["object"]["message"]


async def met(proxy: FaultyProxy, statuses: set[int | None]) -> bool:
    """Whether one request met its fault, and got as far as one of these."""
    return bool(proxy.happened) and proxy.happened[0].status in statuses


@asynccontextmanager
async def client_of(url: str, token: str, name: str, context: ssl.SSLContext | None = None) -> AsyncGenerator[Client]:
    connector = aiohttp.TCPConnector(ssl=context or True, force_close=True)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Client(url, session, name)


@pytest_asyncio.fixture
async def proxy(api_server: ApiServer) -> AsyncGenerator[FaultyProxy]:
    async with FaultyProxy(api_server.url, ca_file=api_server.ca_file) as proxy:
        yield proxy


@pytest.fixture
def name() -> str:
    return f"map-{uuid4().hex}"


@pytest_asyncio.fixture
async def direct(api_server: ApiServer, name: str) -> AsyncGenerator[Client]:
    """A client past the proxy: what the server really has."""
    context = ssl.create_default_context(cafile=api_server.ca_file)
    async with client_of(api_server.url, api_server.admin_token, name, context) as client:
        yield client


@pytest_asyncio.fixture
async def client(api_server: ApiServer, proxy: FaultyProxy, name: str) -> AsyncGenerator[Client]:
    async with client_of(proxy.url, api_server.admin_token, name) as client:
        yield client


async def test_without_faults_everything_passes_both_ways(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    assert await client.create() == 201
    async with client.watch() as content:
        await added(content)
        assert await client.patch() == 200
        assert (await line(content))["object"]["data"] == (await direct.read())["data"]
    assert await client.read() == await direct.read()
    assert (await client.call("DELETE", f"{MAPS}/{client.name}"))[0] == 200
    assert await direct.read() is None
    assert (await client.call("GET", "/version"))[1]["major"] == "1"
    assert proxy.requests["create", "configmaps"] == proxy.requests["watch", "configmaps"] == proxy.requests["delete", "configmaps"] == 1
    assert proxy.happened == []


async def test_the_server_sees_whose_token_it_is(proxy: FaultyProxy, name: str) -> None:
    async with client_of(proxy.url, "nobody's", name) as stranger:
        assert await stranger.create() == 401


async def test_dropped_request_has_no_effect(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(DropRequest(), verb="create", resource="configmaps")
    with pytest.raises(LOST):
        await client.create()
    await proxy.settle()
    assert await direct.read() is None
    assert [(one.fault, one.status) for one in proxy.happened] == [(DropRequest(), None)]


@pytest.mark.parametrize("half", [False, True])
async def test_dropped_answer_had_its_effect(client: Client, direct: Client, proxy: FaultyProxy, half: bool) -> None:
    proxy.orders.add(DropAnswer(half=half), verb="create")
    with pytest.raises(LOST):
        await client.create()
    assert await direct.read() is not None
    assert [one.status for one in proxy.happened] == [201]


async def test_silence_lasts_until_the_client_gives_up(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(DropAnswer(silence=3600.0), verb="create")
    waiting = asyncio.create_task(client.create())
    await eventually(lambda: met(proxy, {201}), seconds=30, what="the server to answer the proxy")
    await asyncio.sleep(0.5)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await proxy.settle()
    assert await direct.read() is not None


async def test_late_request_arrives_after_its_client_gave_up(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    assert await direct.create() == 201
    before = await direct.read()
    proxy.orders.add(Late(3.0), verb="patch")
    with pytest.raises(LOST):
        await client.patch()
    assert await direct.read() == before
    await proxy.settle()
    assert (await direct.read())["data"] != before["data"]
    assert [one.status for one in proxy.happened] == [200]


async def test_late_request_that_tests_a_revision_fails_after_another_write(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    assert await direct.create() == 201
    revision = (await direct.read())["metadata"]["resourceVersion"]
    proxy.orders.add(Late(3.0), verb="patch")
    with pytest.raises(LOST):
        await client.patch(revision)
    assert await direct.patch(revision) == 200
    after = await direct.read()
    await proxy.settle()
    assert await direct.read() == after
    assert [one.status for one in proxy.happened] == [422]


async def test_a_client_that_gives_up_takes_no_request_back(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(Delay(after=3600.0), verb="create")
    waiting = asyncio.create_task(client.create())
    await eventually(lambda: met(proxy, {None, 201}), seconds=30, what="the request to reach the proxy")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await proxy.settle()
    assert await direct.read() is not None


@pytest.mark.parametrize("status", [409, 410, 429, 500, 503, 504])
@pytest.mark.parametrize("took_effect", [False, True])
async def test_answer_instead(client: Client, direct: Client, proxy: FaultyProxy, status: int, took_effect: bool) -> None:
    proxy.orders.add(Answer(status, took_effect=took_effect), verb="create")
    assert await client.create() == status
    assert (await direct.read() is not None) == took_effect
    assert await client.create() == (409 if took_effect else 201)


async def test_answer_says_when_to_come_again(client: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(Answer(429, retry_after=3))
    async with client.session.get(client.url + MAPS) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "3")
        status = await response.json()
    assert (status["kind"], status["code"], status["reason"], status["details"]) == (
        "Status",
        429,
        "TooManyRequests",
        {"retryAfterSeconds": 3},
    )


@pytest.mark.parametrize("fault", [Delay(before=0.4), Delay(after=0.4)])
async def test_delay(client: Client, proxy: FaultyProxy, fault: Fault) -> None:
    proxy.orders.add(fault, verb="create")
    began = time.monotonic()
    assert await client.create() == 201
    assert time.monotonic() - began >= 0.4


async def test_orders_befall_what_they_are_meant_for(client: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(Answer(503), times=2, verb="patch", name=client.name)
    assert await client.create() == 201
    assert [await client.patch(), await client.patch(), await client.patch()] == [503, 503, 200]
    assert proxy.orders.open == 0


@pytest.mark.parametrize("by_order", [False, True])
async def test_cut_watch(client: Client, direct: Client, proxy: FaultyProxy, by_order: bool) -> None:
    await direct.create()
    if by_order:
        proxy.orders.add(CutWatch(after=1), verb="watch")
    async with client.watch() as content:
        await added(content)
        if not by_order:
            assert proxy.disturb_watches(CutWatch(), "configmaps") == 1
        with pytest.raises(LOST):
            await line(content)


async def test_cut_watch_in_the_middle_of_a_line(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    await direct.create()
    proxy.orders.add(CutWatch(after=1, in_line=True), verb="watch")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    query = f"?watch=true&fieldSelector=metadata.name={client.name}"
    token = client.session.headers["Authorization"]
    writer.write(f"GET {MAPS}{query} HTTP/1.1\r\nHost: proxy\r\nAuthorization: {token}\r\n\r\n".encode())
    await reader.readuntil(b'"ADDED"')
    await reader.readline()
    await direct.patch()
    async with asyncio.timeout(30):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b'{"type":"MODIFIED"' in received
    assert b"}}\n" not in received  # the end of the line, and of its chunk, never came


async def test_half_open_watch_is_silent_and_cut_in_the_end(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    await direct.create()
    async with client.watch() as content:
        await added(content)
        proxy.disturb_watches(HoldWatch(seconds=5.0))
        await direct.patch()
        with pytest.raises(TimeoutError):
            await line(content, 0.5)
        with pytest.raises(LOST):
            await line(content)


@pytest.mark.parametrize("fault", [ExpireWatch(), ExpireWatch(after=1)])
async def test_watch_expires(client: Client, direct: Client, proxy: FaultyProxy, fault: WatchFault) -> None:
    await direct.create()
    async with client.watch() as content:
        await added(content)
        proxy.disturb_watches(fault)
        if fault.after:
            await direct.patch()
            assert (await line(content))["type"] == "MODIFIED"
        error = await line(content)
        assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await line(content) is None


async def test_opening_of_a_watch_is_refused(client: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(Answer(410), verb="watch")
    async with client.session.get(client.url + MAPS + "?watch=true&resourceVersion=1") as response:
        assert response.status == 410


async def test_a_fault_of_watches_waits_for_a_watch(client: Client, proxy: FaultyProxy) -> None:
    proxy.orders.add(CutWatch())
    assert await client.create() == 201
    with pytest.raises(LOST):
        async with client.watch() as content:
            await line(content)


async def test_cut_connections(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    await direct.create()
    async with client.watch() as content:
        await added(content)
        assert proxy.cut_connections() >= 1
        with pytest.raises(LOST):
            await line(content)
    assert await client.read() is not None


async def test_cut_off_until_restored(client: Client, direct: Client, proxy: FaultyProxy) -> None:
    proxy.cut_off()
    with pytest.raises(LOST):
        await client.create()
    assert await direct.read() is None
    proxy.restore()
    assert await client.create() == 201


async def test_gone_and_back_on_the_same_port(client: Client, proxy: FaultyProxy) -> None:
    await proxy.stop()
    with pytest.raises(LOST):
        await client.create()
    await proxy.start()
    assert await client.create() == 201


async def test_a_server_that_is_away_is_a_lost_connection(name: str) -> None:
    async with FaultyProxy("http://127.0.0.1:1") as proxy, client_of(proxy.url, "", name) as client:
        with pytest.raises(LOST):
            await client.create()


async def test_tls_towards_clients(api_server: ApiServer, tmp_path: Path, name: str) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=proxy", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), *names]
    made = await asyncio.create_subprocess_exec("openssl", *make, stderr=asyncio.subprocess.DEVNULL)
    assert await made.wait() == 0
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with FaultyProxy(api_server.url, ca_file=api_server.ca_file, tls=tls) as proxy:
        assert proxy.url.startswith("https://")
        context = ssl.create_default_context(cafile=certificate)
        async with client_of(proxy.url, api_server.admin_token, name, context) as client:
            assert await client.create() == 201
