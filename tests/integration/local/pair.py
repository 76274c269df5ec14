"""Two nodes that reach the same devices, for those who ask for them at the same time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.integration.local.plant import Plant, RejectedError, configuration, echo, plant

__all__ = ["begin_anew", "failure_of", "two_nodes"]


@asynccontextmanager
async def two_nodes(*devices: str) -> AsyncGenerator[Plant]:
    """Two nodes that see these devices; node b has no controller."""
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        await it.apply(configuration("cam", echo(*devices)))
        await it.until(lambda: [len(one.nodes) for one in it.store.instances] == [2] * len(devices), "both nodes see all")
        await it.until(lambda: all(it.healthy("cam", node) == len(devices) for node in "ab"), "both nodes offer all")
        yield it


async def failure_of(it: Plant, name: str) -> str:
    """Wait until a pod runs, or has failed; return why."""
    pod = it.pod(name)
    assert pod is not None
    try:
        await it.running(pod)
    except RejectedError as rejected:
        return str(rejected)
    return ""


async def begin_anew(it: Plant, *names: str) -> None:
    """Delete pods, and wait until both nodes offer what they had."""
    for name in names:
        await it.delete(name)
    await it.until(lambda: not it.usages(), "all is given back")
    count = len(it.store.instances)
    await it.until(lambda: all(it.healthy("cam", node) == count for node in "ab"), "both nodes offer all")
