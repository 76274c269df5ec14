"""What it costs to watch 5,000 Instances, and how soon an agent hears of a change.

One API server holds 5,000 Instances of five slots that ten nodes share. Listed and watched: from the call of `watch_instances` to the
Reset with all of them, as values, in a process that has loaded everything before; memory is what the process has more after it
keeps them, and what it had more at its peak. Event: from the answer to somebody's write of one Instance to the Put of it (0 if that
is first), and from the sending of the write; both ends are in one process, and writes come one at a time.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Final, cast

from akri.clock import SystemClock
from akri.core.instance import Instance
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from akri.ports import Put, Reset, WatchEvent
from benchmarks._harness import Case, main
from benchmarks._server import NODES, api_server, clients, instance, put_instances
from tests.cluster.api_server import ApiServer

__all__ = ["event", "listing"]

INSTANCES: Final = 5000
CAPACITY: Final = 5
WRITES: Final = 100
RUNS: Final = 10
_PAGE: Final = resource.getpagesize()
_MIB: Final = 1024 * 1024


def _name(number: int) -> str:
    return f"cam-{number:06x}"


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE / _MIB


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


async def _watch(platform: KubernetesNodePlatform) -> AsyncGenerator[WatchEvent[Instance]]:
    async with aclosing(cast("AsyncGenerator[WatchEvent[Instance]]", platform.watch_instances())) as events:
        async for one in events:
            yield one


async def _listing(file: str) -> dict[str, float]:
    async with clients(file) as (client,):
        platform = KubernetesNodePlatform(client, NODES[0], SystemClock())
        await client.request("GET", "/apis/akri.sh/v0/configurations")
        gc.collect()
        _forget_peak()
        resident, began = _resident(), time.perf_counter()
        async with aclosing(_watch(platform)) as events:
            first = await anext(events)
            seconds = time.perf_counter() - began
            if not isinstance(first, Reset) or len(first.objects) != INSTANCES:
                raise RuntimeError("the watch did not begin with all Instances")
            gc.collect()
            return {"seconds": seconds, "memory": _resident() - resident, "peak": _peak() - resident}


def listing(file: str, figure: str) -> None:
    """Print `seconds`, `memory` or `peak` (MiB)."""
    print(asyncio.run(_listing(file))[figure])


async def _event(file: str) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {"answered": [], "sent": []}
    async with clients(file, 2) as (watching, writing):
        platform = KubernetesNodePlatform(watching, NODES[0], SystemClock())
        writer = KubernetesNodePlatform(writing, NODES[1], SystemClock())
        async with aclosing(_watch(platform)) as events:
            await anext(events)
            for number in range(-3, WRITES):
                await asyncio.sleep(0.02)
                heard = asyncio.ensure_future(_until_put(events, _name(number % INSTANCES)))
                sent = time.perf_counter()
                await writer.fence(instance(_name(number % INSTANCES), CAPACITY).key)
                answered = time.perf_counter()
                at = await heard
                if number >= 0:
                    figures["answered"].append(max(at - answered, 0.0))
                    figures["sent"].append(at - sent)
    return figures


async def _until_put(events: AsyncGenerator[WatchEvent[Instance]], name: str) -> float:
    async for one in events:
        if isinstance(one, Put) and one.object.name == name:
            return time.perf_counter()
    raise RuntimeError("the watch ended")


def event(file: str, since: str, percentile: int) -> None:
    """Print a percentile of 100 events, in seconds. since: `answered` or `sent`."""
    print(statistics.quantiles(asyncio.run(_event(file))[since], n=100)[percentile - 1])


def _cases(file: object) -> list[Case]:
    def listed(what: str, figure: str, unit: str, aim: float | None) -> Case:
        program = f"from benchmarks.watches import listing\nlisting({str(file)!r}, {figure!r})"
        return Case(f"5,000 Instances listed and watched{what}", program, unit, aim, runs=RUNS)

    def heard(since: str, percentile: int, aim: float | None) -> Case:
        program = f"from benchmarks.watches import event\nevent({str(file)!r}, {since!r}, {percentile})"
        return Case(f"event heard, since the write was {since}, p{percentile}", program, "ms", aim, scale=1000.0, runs=RUNS)

    return [
        listed("", "seconds", "s", 3.0),
        listed(", memory kept", "memory", "MiB", 60.0),
        listed(", memory at the peak", "peak", "MiB", None),
        heard("answered", 50, 10.0),
        heard("answered", 99, 10.0),
        heard("sent", 50, None),
        heard("sent", 99, None),
    ]


async def _put(server: ApiServer) -> None:
    async with server.admin() as admin:
        await put_instances(admin, [instance(_name(number), CAPACITY) for number in range(INSTANCES)])


if __name__ == "__main__":
    with api_server() as (server, file):
        asyncio.run(_put(server))
        main("watches", _cases(file))
