"""S7: an Instance into which somebody wrote what nobody can read, or slots that are beyond the capacity."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from akri.core.errors import AdmissionError
from akri.core.ids import ObjectKey
from akri.core.reports import Reason
from tests.scenarios.brokers import controlled
from tests.scenarios.cluster import Cluster, cluster, configuration, device, resource

GARBAGE = {
    "": "node-a",
    "cam": "node-a",
    "cam-8120fe": "",
    "cam-8120fe-": "node-a",
    "cam-8120fe-00": "node-a",
    "cam-8120fe--1": "",
    "cam-8120fe-1e3": "C:cam-0:node-a",
    "cam-8120fe-\u0663": "node-a",
    "cam-8120fe-99999999999999999999999": "node-a",
    "cam-a19705-0": "node-a",
    "\x00\n": "\x00",
}
UNREADABLE_VALUES = ["C:", "C:cam-0", "C:cam-x:node-a", "node a", "a:b:c", "C:cam-0:node-a:x"]


async def _write(it: Cluster, usage: Mapping[str, str]) -> None:
    """Write keys into the Instance as somebody with a text editor does."""
    instance = it.instance()
    await it.store.put_instance(evolve(instance, device_usage={**instance.device_usage, **usage}))


def _problems(it: Cluster) -> str:
    return "\n".join(problem for report in it.store.reports for problem in report.problems)


@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s7_keys_that_nobody_can_read_do_not_stop_the_agent_and_are_reported(level: str) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        await _write(it, GARBAGE)
        pod = await it.nodes[0].run_pod("user", {resource(level): 1})
        assert it.usages()["cam-8120fe-0"].endswith("node-a")
        await it.until(lambda: all(repr(key) in _problems(it) for key in ("cam-8120fe-", "cam-a19705-0", "\x00\n")))
        await pod.delete()
        await it.until(lambda: "cam-8120fe-0" not in it.usages())
        await it.clock.advance(30)
        assert {key: it.instance().device_usage[key] for key in GARBAGE} == GARBAGE
        assert all(node.healthy("cam-8120fe") == ["cam-8120fe-0"] for node in it.nodes)


@pytest.mark.parametrize("text", UNREADABLE_VALUES)
async def test_s7_a_usage_that_nobody_can_read_blocks_its_slot_alone(text: str) -> None:
    async with cluster(device("foo0")) as it:
        await it.apply(configuration(capacity=2))
        await _write(it, {"cam-8120fe-0": text})
        node = it.nodes[0]
        await it.until(lambda: node.healthy("cam-8120fe") == ["cam-8120fe-1"])
        await node.run_pod("user", {resource("cam"): 1})
        assert it.usages() == {"cam-8120fe-0": text, "cam-8120fe-1": "C:cam-0:node-a"}
        with pytest.raises(AdmissionError):
            await node.run_pod("too-many", {resource("cam"): 1})
        await it.until(lambda: "spec.deviceUsage.cam-8120fe-0" in _problems(it))


async def test_s7_the_controller_removes_what_nobody_can_read_and_touches_nothing_else() -> None:
    async with cluster(device("foo0")) as it, controlled(it):
        await it.apply(configuration(capacity=2))
        await it.nodes[0].run_pod("user", {resource("cam"): 1})
        held = it.usages()
        assert len(held) == 1
        free = next(f"cam-8120fe-{index}" for index in range(2) if f"cam-8120fe-{index}" not in held)
        await _write(it, {**GARBAGE, free: "C:nonsense"})
        await it.until(lambda: set(it.instance().device_usage) == {"cam-8120fe-0", "cam-8120fe-1"})
        assert it.usages() == held
        assert Reason.SLOT_UNREADABLE in it.reasons()
        await it.until(lambda: "spec.deviceUsage" not in _problems(it))


async def test_s7_the_reporter_removes_free_keys_beyond_the_capacity_and_used_ones_drain() -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration(capacity=3))
        first, second = it.nodes
        pods = [await node.run_pod(f"{node.name}-user", {resource("cam-8120fe"): 1}) for node in (first, second)]
        await _write(it, {"cam-8120fe-7": "", "cam-8120fe-8": "node-c"})
        await it.until(lambda: "cam-8120fe-7" not in it.instance().device_usage)
        held = it.usages()
        assert held.pop("cam-8120fe-8") == "node-c"
        await it.store.apply(configuration(capacity=1))
        await it.until(lambda: it.instance().capacity == 1)
        await it.clock.advance(30)
        assert it.usages() == {**held, "cam-8120fe-8": "node-c"}
        assert set(it.instance().device_usage) == {"cam-8120fe-0", *held, "cam-8120fe-8"}
        for pod in pods:
            await pod.delete()
        await it.until(lambda: dict(it.instance().device_usage) == {"cam-8120fe-0": "", "cam-8120fe-8": "node-c"})
        await it.until(lambda: all(node.healthy("cam-8120fe") == ["cam-8120fe-0"] for node in it.nodes))
        assert it.store.instance(ObjectKey("default", "cam-8120fe")) is not None
