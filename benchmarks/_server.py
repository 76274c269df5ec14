"""An API server for benchmarks: etcd and kube-apiserver of the test cluster, with deploy/ in force and nothing else going on.

Programs that are measured run in processes of their own; what they need to know is in a file whose path they are given.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from akri.clock import SystemClock
from akri.core.codec import print_instance
from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.connection import Connection
from tests.cluster import build, states
from tests.cluster.admin import Admin
from tests.cluster.api_server import ApiServer

__all__ = ["NODES", "CountingClient", "api_server", "clients", "instance", "put_instances"]

ROOT: Final = Path(__file__).parents[1]
NODES: Final = tuple(NodeName(f"node-{index}") for index in range(10))
CONFIGURATION: Final = ConfigurationName("cam")
_AT_ONCE: Final = 20


@contextmanager
def api_server() -> Generator[tuple[ApiServer, Path]]:
    """Start it; yields it and the file for `clients`, which has the tokens of the agents on ten nodes."""
    program = build.program(print)
    asyncio.run(_clean_stale())
    with states.run_folder() as state:
        server = ApiServer(program, state)
        try:
            yield server, asyncio.run(_prepare(server))
        finally:
            asyncio.run(states.clean(state))


async def _clean_stale() -> None:
    await states.clean_stale()


async def _prepare(server: ApiServer) -> Path:
    await server.start()
    async with server.admin() as admin:
        await admin.install(ROOT / "deploy")
        tokens = [await admin.token_for("akri-agent", "akri", node=node, seconds=12 * 3600) for node in NODES]
    file = server.state / "benchmark.json"
    known = {"url": server.url, "ca_file": str(server.ca_file), "tokens": tokens}
    await asyncio.to_thread(file.write_text, json.dumps(known), encoding="utf-8")
    return file


class CountingClient(ApiClient):
    """Counts requests. `requests`: how many were sent so far."""

    requests = 0

    async def request(self, method: str, path: str, **options: Any) -> JsonObject:  # noqa: ANN401 - passed on as they are
        """Count, and send."""
        self.requests += 1
        return await super().request(method, path, **options)


@asynccontextmanager
async def clients(file: str, count: int = 1) -> AsyncGenerator[Sequence[CountingClient]]:
    """Clients of the agents on the first nodes, each with connections of its own."""
    known: dict[str, Any] = json.loads(await asyncio.to_thread(Path(file).read_text, encoding="utf-8"))
    context = ssl.create_default_context(cafile=known["ca_file"])
    async with AsyncExitStack() as stack:
        connections = [Connection(known["url"], context, partial(str, token)) for token in known["tokens"][:count]]
        yield [await stack.enter_async_context(CountingClient(connection, SystemClock())) for connection in connections]


def instance(name: str, capacity: int) -> Instance:
    """An Instance that ten nodes share, as their agents would have made it."""
    usage = {str(SlotId(InstanceName(name), index)): "" for index in range(capacity)}
    owner = OwnerReference("akri.sh/v0", "Configuration", str(CONFIGURATION), "0e2f6d4a-3f0b-4bd1-a0fd-7f6a2ac1a2a0", controller=True)
    annotations = {"akri.sh/device-id": f"device of {name}", "akri.sh/configuration-generation": "1"}
    metadata = ObjectMeta(ObjectKey("default", name), annotations=annotations, owners=(owner,))
    properties = {"UDEV_DEVNODE_0": "/dev/video0", "AKRI_DEVICE": f"device of {name}"}
    return Instance(metadata, CONFIGURATION, "", capacity, shared=True, nodes=NODES, device_usage=usage, broker_properties=properties)


async def put_instances(admin: Admin, instances: Sequence[Instance]) -> None:
    """Create them, some at a time."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def create(document: JsonObject) -> None:
        async with turns:
            await admin.request("POST", "/apis/akri.sh/v0/namespaces/default/instances", document)

    await asyncio.gather(*(create(print_instance(one)) for one in instances))
