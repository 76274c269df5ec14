"""S1, S2, S4: slots follow the pods that use them, at both levels, as every node sees it."""

from __future__ import annotations

import pytest

from tests.scenarios.cluster import cluster, configuration, device, resource

LEVELS = ["cam", "cam-8120fe"]


@pytest.mark.parametrize("level", LEVELS)
async def test_s1_a_pod_that_is_deleted_and_made_again_at_once_is_admitted(level: str) -> None:
    async with cluster(device("foo0")) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        asked = {resource(level): 1}
        pod = await node.run_pod("user", asked)
        before = it.usages()
        for _ in range(20):
            await pod.delete()
            pod = await node.run_pod("user", asked)
        assert it.usages() == before
        assert len(before) == 1
        await it.clock.advance(20)
        assert it.usages() == before


@pytest.mark.parametrize("level", LEVELS)
async def test_s2_an_init_container_and_a_main_container_share_one_slot(level: str) -> None:
    async with cluster(device("foo0", KEY="value")) as it:
        await it.apply(configuration(capacity=2))
        asked = {resource(level): 1}
        pod = await it.nodes[0].run_pod("user", asked, init=asked)
        assert len(it.usages()) == 1
        assert pod.edits["init"] == pod.edits["main-0"]
        assert pod.edits["main-0"].environment == {"KEY": "value", "KEY_8120FE": "value"}


async def test_s2_two_main_containers_get_two_ids_and_two_claims() -> None:
    async with cluster(device("foo0"), device("foo1")) as it:
        await it.apply(configuration())
        await it.nodes[0].run_pod("user", {resource("cam"): 1}, containers=2)
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:node-a", "cam-a19705-0": "C:cam-1:node-a"} or it.usages() == {
            "cam-8120fe-0": "C:cam-1:node-a",
            "cam-a19705-0": "C:cam-0:node-a",
        }


@pytest.mark.parametrize("level", LEVELS)
async def test_s4_a_slot_is_free_within_a_second_of_its_pods_end_on_every_node(level: str) -> None:
    async with cluster(device("foo0"), nodes=3) as it:
        await it.apply(configuration())
        first, *others = it.nodes
        for _ in range(10):
            pod = await first.run_pod("user", {resource(level): 1})
            await it.until(lambda: all(not node.healthy("cam-8120fe") for node in others))
            await it.clock.advance(1.0)
            assert it.usages()
            await pod.end()
            took = await it.until(lambda: not it.usages() and all(node.healthy("cam-8120fe") for node in it.nodes))
            assert took <= 1.0
            await it.store.remove_pod(pod.pod)


@pytest.mark.parametrize("level", LEVELS)
async def test_s4_after_a_force_delete_a_slot_is_kept_for_ten_seconds_and_free_within_fifteen(level: str) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        pod = await it.nodes[0].run_pod("user", {resource(level): 1})
        await it.clock.advance(1.0)
        await pod.force_delete()
        await it.clock.advance(9.9)
        assert it.usages()
        took = await it.until(lambda: not it.usages())
        assert 9.9 + took <= 15


async def test_s4_a_crash_looping_pod_that_uses_no_device_changes_nothing() -> None:
    async with cluster(device("foo0")) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        pod = await node.run_pod("user", {resource("cam"): 1})
        held = it.usages()
        for number in range(10):
            other = await node.run_pod(f"crashing-{number}", {})
            await it.clock.advance(0.7)
            await other.end()
        assert it.usages() == held
        await pod.end()
        assert await it.until(lambda: not it.usages()) <= 1.0
