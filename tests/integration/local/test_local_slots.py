"""S1, S2, S4 with processes: slots follow the pods that use them, at both levels, as the store of every node shows it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.scheduling.model import Phase
from tests.integration.local.plant import Plant, configuration, echo, plant

pytestmark = pytest.mark.timeout(240)
LEVELS = ["cam", "cam-8120fe"]


async def _devices(it: Plant, count: int, capacity: int = 1) -> None:
    """Apply a Configuration and wait for its devices."""
    await it.apply(configuration("cam", echo(*(f"foo{index}" for index in range(count))), capacity=capacity))
    await it.until(lambda: len(it.store.instances) == count, "there are Instances")


@pytest.mark.parametrize("level", LEVELS)
async def test_s1_a_pod_that_is_deleted_and_made_again_at_once_is_admitted(level: str) -> None:
    async with plant() as it:
        await it.up()
        await _devices(it, 1)
        await it.run("user", level)
        before = it.usages()
        for _ in range(10):
            await it.delete("user")
            await it.run("user", level)
            assert it.usages() == before, it.told()
        assert len(before) == 1
        assert len(it.starts("user")) == 11


@pytest.mark.parametrize("level", LEVELS)
async def test_s2_an_init_container_and_a_main_container_share_one_slot(level: str) -> None:
    async with plant() as it:
        await it.up()
        await _devices(it, 1, capacity=2)
        await it.run("user", level, init=True)
        assert len(it.usages()) == 1
        given = [it.environment(name) for name in ("user-init", "user")]
        assert [one["DEBUG_ECHO_DESCRIPTION_8120FE"] for one in given] == ["foo0", "foo0"]


async def test_s2_two_main_containers_get_two_ids_and_two_claims() -> None:
    async with plant() as it:
        await it.up()
        await _devices(it, 2)
        await it.until(lambda: it.healthy("cam") == 2, "both can be had")
        limits: JsonObject = {"resources": {"limits": {"akri.sh/cam": "1"}}}
        containers: list[Json] = [{**it.broker(f"user-{index}"), "name": f"main-{index}", **limits} for index in range(2)]
        both: JsonObject = {"restartPolicy": "Never", "containers": containers}
        await it.store.create_pod(ObjectKey("default", "user"), both)
        await it.until(lambda: bool(it.starts("user-0") and it.starts("user-1")), "both containers run")
        assert sorted(it.usages()) == ["cam-8120fe-0", "cam-a19705-0"]
        assert sorted(it.usages().values()) == ["C:cam-0:a", "C:cam-1:a"]
        found = {it.environment(name)["DEBUG_ECHO_DESCRIPTION"] for name in ("user-0", "user-1")}
        assert found == {"foo0", "foo1"}


@pytest.mark.parametrize("level", LEVELS)
async def test_s4_a_slot_is_free_within_a_second_of_its_pods_end_and_another_node_can_have_it(level: str) -> None:
    """The quickest of several rounds counts: on a busy machine a process may get no processor for longer than that."""
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        await _devices(it, 1)
        await it.until(lambda: len(it.instance().nodes) == 2, "both nodes see it")
        took: list[float] = []
        for number in range(5):
            holder, other = f"holder-{number}", f"other-{number}"
            await it.run(holder, level, node="b")
            # This one has no node of its own: it is for node a, which takes it when the slot is free there.
            await it.until(lambda: not it.healthy("cam-8120fe", "a"), "node a knows")
            await it.store.create_pod(ObjectKey("default", other), it.spec(other, level))
            os.kill(it.starts(holder)[0][0], signal.SIGTERM)
            await it.until(lambda holder=holder: (pod := it.pod(holder)) is not None and pod.phase.terminal)  # type: ignore[misc]
            ended = time.monotonic()
            await it.until(lambda: not any(text.endswith("b") for text in it.usages().values()), "node b gives it back")
            took.append(time.monotonic() - ended)
            pod = it.pod(other)
            assert pod is not None
            assert (await it.running(pod)).node == "a"
            await it.until(lambda: not it.healthy(level, "b"), "node b knows")
            await it.delete(other)
        assert min(took) <= 1.0, took


async def test_s4_after_a_force_delete_a_slot_is_kept_for_ten_seconds_and_free_soon_after() -> None:
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        await _devices(it, 2)
        await it.run("one", "cam-8120fe")
        await it.run("other", "cam")
        await asyncio.sleep(1)
        assert sorted(it.usages()) == ["cam-8120fe-0", "cam-a19705-0"], it.told()
        began = time.monotonic()
        await asyncio.gather(it.delete("one", force=True), it.delete("other", force=True))
        await it.until(lambda: len(it.usages()) < 2, "one slot is free")
        assert time.monotonic() - began >= 10
        await it.until(lambda: not it.usages(), "both are free")
        await it.run("next", "cam-8120fe", node="b")


async def test_s4_a_crash_looping_pod_that_uses_no_device_changes_nothing() -> None:
    async with plant() as it:
        await it.up()
        await _devices(it, 1)
        await it.run("user", "cam")
        held = it.usages()
        for number in range(6):
            await it.create(f"crashing-{number}", rest="exit 1")
        for number in range(6):
            await it.until(lambda number=number: (pod := it.pod(f"crashing-{number}")) is not None and pod.phase is Phase.FAILED)  # type: ignore[misc]
        assert it.usages() == held
        os.kill(it.starts("user")[0][0], signal.SIGTERM)
        await it.until(lambda: not it.usages(), "the slot is free")


async def test_a_broker_waits_while_pods_of_users_have_all_slots_of_its_device_and_starts_when_one_of_them_ends() -> None:
    """As on Kubernetes: what runs is not ended for it, and that another device has a free slot does not help it."""
    async with plant() as it:
        await it.up()
        shared: JsonObject = {"capacity": 2, "brokerProperties": {"SHARES": "1"}}
        await it.apply(configuration("cam", echo("foo0", "foo1"), shared))
        for name in ("one", "other", "third"):
            await it.run(name, "cam")
        held = it.usages()
        assert [slot[:-2] for slot in held] == ["cam-8120fe", "cam-8120fe", "cam-a19705"]
        await it.apply(configuration("cam", echo("foo0", "foo1"), {**shared, "brokerSpec": it.brokers_spec()}))
        await it.until(lambda: "a-cam-a19705-pod" in it.brokers(), "the other broker runs")
        waiting = it.pod("a-cam-8120fe-pod")
        assert waiting is not None
        assert (waiting.phase, waiting.bound) == (Phase.PENDING, False), it.told()
        assert held.items() <= it.usages().items()
        await it.delete(next(name for name in ("one", "other", "third") if "DEBUG_ECHO_DESCRIPTION_8120FE" in it.environment(name)))
        await it.until(lambda: "a-cam-8120fe-pod" in it.brokers(), "the broker runs")
