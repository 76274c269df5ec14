"""What a claim costs on an API server, and what it costs the way upstream claims: read the Instance, change it, write it whole.

Wall time of `KubernetesNodePlatform.claim`, with TLS, node-bound tokens and the admission policies in force, on one Instance of ten
slots that ten nodes share. Ten at a time: ten agents claim a slot each at the same moment, all in one process, so that its
processor time is in the figures. Upstream's way goes over the same client: GET, PUT with the resourceVersion, from the start again
on a conflict, and at once (upstream waits up to 200 ms at random, up to five times; then the pod is refused).
Releases lie between and are not measured.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from attrs import define, field

from akri.clock import SystemClock
from akri.core.ids import InstanceName, SlotId
from akri.core.usage import HeldByNode
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from akri.platforms.kubernetes.resources import INSTANCES
from akri.ports import Done
from benchmarks._harness import Case, main
from benchmarks._server import NODES, CountingClient, api_server, clients, instance, put_instances
from tests.cluster.api_server import ApiServer

__all__ = ["count", "run"]

CAPACITY: Final = 10
CLAIMS: Final = 200
RUNS: Final = 10
NAME: Final = InstanceName("cam-5e8f3a")
KEY: Final = instance(NAME, CAPACITY).key


@define(eq=False)
class _Agent:
    """One node's way to the server."""

    client: CountingClient
    platform: KubernetesNodePlatform
    usage: HeldByNode
    figures: list[float] = field(factory=list[float])
    requests: list[int] = field(factory=list[int])

    async def claim(self, slot: SlotId) -> None:
        """Claim as the agent does."""
        outcome = await self.platform.claim(KEY, slot, self.usage)
        if not isinstance(outcome, Done):
            raise RuntimeError(f"{slot} was not claimed: {outcome}")  # noqa: TRY004 - not about types

    async def read_and_write(self, slot: SlotId) -> None:
        """Claim as upstream does."""
        while True:
            found: Any = await self.client.request("GET", INSTANCES.object(KEY))
            specification = {**found["spec"], "deviceUsage": {**found["spec"]["deviceUsage"], str(slot): self.usage.node}}
            try:
                await self.client.request("PUT", INSTANCES.object(KEY), body={**found, "spec": specification})
            except ApiStatusError as error:
                if error.status != 409:
                    raise
            else:
                return

    async def release(self, slot: SlotId) -> None:
        """Give it back."""
        found = await self.platform.read_instance(KEY)
        outcome = await self.platform.release(found, slot, self.usage) if found else None
        if not isinstance(outcome, Done):
            raise RuntimeError(f"{slot} was not released: {outcome}")  # noqa: TRY004 - not about types

    async def timed(self, claim: Awaitable[None]) -> None:
        """Await a claim and note how long it took, and how many requests."""
        began, before = time.perf_counter(), self.client.requests
        await claim
        self.figures.append(time.perf_counter() - began)
        self.requests.append(self.client.requests - before)


def _agents(opened: Sequence[CountingClient]) -> list[_Agent]:
    clock = SystemClock()
    return [
        _Agent(client, KubernetesNodePlatform(client, node, clock), HeldByNode(node)) for node, client in zip(NODES, opened, strict=False)
    ]


async def _measure(file: str, at_once: int, way: Callable[[_Agent, SlotId], Awaitable[None]]) -> tuple[list[float], list[int]]:
    async with clients(file, at_once) as opened:
        agents = _agents(opened)
        for turn in range(-2, CLAIMS // at_once):  # two for warming up
            slots = [SlotId(NAME, (turn + index) % CAPACITY) for index in range(at_once)]
            await asyncio.gather(*(agent.timed(way(agent, slot)) for agent, slot in zip(agents, slots, strict=True)))
            for agent, slot in zip(agents, slots, strict=True):
                await agent.release(slot)
        figures = [figure for agent in agents for figure in agent.figures[2:]]
        return figures, [count for agent in agents for count in agent.requests[2:]]


def run(file: str, at_once: int, way: str, percentile: int) -> None:
    """Print a percentile of 200 claims, in seconds. way: `claim` or `read_and_write`."""
    figures, _ = asyncio.run(_measure(file, at_once, getattr(_Agent, way)))
    print(statistics.quantiles(figures, n=100)[percentile - 1])


def count(file: str, at_once: int, way: str) -> None:
    """Print how many requests a claim took, on average."""
    _, requests = asyncio.run(_measure(file, at_once, getattr(_Agent, way)))
    print(statistics.fmean(requests))


def _case(file: object, at_once: int, way: str, percentile: int, aim: float | None) -> Case:
    program = f"from benchmarks.claims import run\nrun({str(file)!r}, {at_once}, {way!r}, {percentile})"
    return Case(f"{_title(at_once, way)}, p{percentile}", program, "ms", aim, scale=1000.0, runs=RUNS)


def _count(file: object, at_once: int, way: str, aim: float | None) -> Case:
    program = f"from benchmarks.claims import count\ncount({str(file)!r}, {at_once}, {way!r})"
    return Case(f"{_title(at_once, way)}, requests", program, "", aim, runs=RUNS)


def _title(at_once: int, way: str) -> str:
    what = "claim" if way == "claim" else "upstream's way"
    return f"{what}, {'sequential' if at_once == 1 else f'{at_once} at a time'}"


def _cases(file: object) -> list[Case]:
    wanted = [(1, 50, 8.0), (1, 99, 25.0), (CAPACITY, 50, 30.0), (CAPACITY, 99, 80.0)]
    ours = [_case(file, at_once, "claim", percentile, aim) for at_once, percentile, aim in wanted]
    theirs = [_case(file, at_once, "read_and_write", percentile, None) for at_once, percentile, _ in wanted]
    counts = [_count(file, at_once, way, aim) for way, aim in (("claim", 1.2), ("read_and_write", None)) for at_once in (1, CAPACITY)]
    return [*ours, *theirs, *counts]


async def _put(server: ApiServer) -> None:
    async with server.admin() as admin:
        await put_instances(admin, [instance(NAME, CAPACITY)])


if __name__ == "__main__":
    with api_server() as (server, file):
        asyncio.run(_put(server))
        main("claims", _cases(file))
