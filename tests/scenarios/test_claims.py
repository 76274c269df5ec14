"""S5, S6, S8, S9: claims at a store that refuses, is slow, or loses answers, and nodes that race."""

from __future__ import annotations

import asyncio

import pytest

from akri.core.errors import AdmissionError
from akri.testing.faults import Conflict, Fault, Late, LostAfter, LostBefore, Operation, Slow
from tests.scenarios.cluster import Cluster, Node, cluster, configuration, device, resource


async def _agrees(it: Cluster, node: Node) -> bool:
    """Tell whether what the agent remembers is what the store says."""
    await it.clock.advance(1.0)
    tables = node.agent.state.tables(configuration().key)
    mine = {str(held.slot) for table in tables.values() for held in table.held()}
    doubts = [index for table in tables.values() for index in table.doubts]
    return not doubts and mine == {slot for slot, text in it.usages().items() if text.endswith(node.name)}


@pytest.mark.parametrize("fault", [Conflict(), LostBefore(10.0), LostAfter(10.0), Late(5.0)])
async def test_s5_a_claim_that_fails_leaves_nothing_in_memory_and_no_slot_behind(fault: Fault) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        first, second = it.nodes
        first.orders.add("claim", *[fault] * 200)
        first.orders.add("fence", *[LostBefore(10.0)] * 200)
        with pytest.raises(AdmissionError, match=r"Allocate failed due to .* could not be claimed within 10 s: .*, which is unexpected"):
            await first.run_pod("user", {resource("cam-8120fe"): 1})
        first.orders.clear()
        await it.until(lambda: not it.usages(), 60)
        await it.clock.advance(15)
        assert it.usages() == {}
        assert await _agrees(it, first)
        await second.run_pod("user-b", {resource("cam-8120fe"): 1})
        assert it.usages() == {"cam-8120fe-0": "node-b"}


async def test_s5_a_request_for_several_devices_that_fails_half_way_gives_back_what_it_took() -> None:
    async with cluster(device("foo0"), device("foo1"), nodes=2) as it:
        await it.apply(configuration())
        first, second = it.nodes
        # The second node takes foo1 while the first one's answer is on its way, so the first cannot have both.
        first.orders.add("claim", Slow(before=1.0), Slow(before=1.0))
        asked = asyncio.ensure_future(first.ask("user", {resource("cam"): 2}))
        await it.clock.advance(0.5)
        await second.run_pod("user-b", {resource("cam-a19705"): 1})
        await it.settle(asked)
        with pytest.raises(AdmissionError, match=r"no Instance has a free slot for cam-[01]: .*cam-a19705 is held by node-b"):
            await asked
        assert it.usages() == {"cam-a19705-0": "node-b"}
        assert await _agrees(it, first)


async def test_s5_the_error_names_the_holder() -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        first, second = it.nodes
        first.orders.add("claim", Slow(before=1.0))
        asked = asyncio.ensure_future(first.ask("user", {resource("cam-8120fe"): 1}))
        await it.clock.advance(0.5)
        await second.run_pod("user-b", {resource("cam-8120fe"): 1})
        await it.settle(asked)
        with pytest.raises(AdmissionError, match="slot cam-8120fe-0 is held by node-b"):
            await asked


async def test_s6_of_two_nodes_that_race_for_the_last_slot_exactly_one_wins_every_time() -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        for number in range(25):
            await it.until(lambda: all(node.healthy("cam-8120fe") for node in it.nodes))
            for node in it.nodes:
                # Both have decided before either write arrives; each is the quicker one in turn, and the watches break in between.
                node.orders.add("claim", Slow(before=0.1 + 0.01 * it.clock.random(), after=0.1 * (number % 3)))
                if number % 5 == 4:
                    node.platform.cut_watches(0.3)
            tries = [asyncio.ensure_future(node.ask(f"{node.name}-{number}", {resource("cam-8120fe"): 1})) for node in it.nodes]
            await it.settle(*tries)
            results = await asyncio.gather(*tries, return_exceptions=True)
            winners = [result for result in results if not isinstance(result, BaseException)]
            losers = [result for result in results if isinstance(result, AdmissionError)]
            assert len(winners) == 1
            assert len(losers) == 1
            assert it.usages() == {"cam-8120fe-0": str(winners[0].node.name)}
            await winners[0].delete()
            # A pod that came and went while the watch was cut may have been given 30 s to end.
            await it.until(lambda: not it.usages(), 60)


@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s8_one_write_per_claim_and_one_per_release_whatever_the_number_of_nodes(level: str) -> None:
    async with cluster(device("foo0"), nodes=3) as it:
        await it.apply(configuration())
        await it.clock.advance(2)
        before = it.instance().metadata.revision
        operations: tuple[Operation, ...] = ("claim", "release", "fence", "update")
        writes = {operation: [node.platform.counts[operation] for node in it.nodes] for operation in operations}
        pod = await it.nodes[0].run_pod("user", {resource(level): 1})
        await it.clock.advance(2)
        assert it.instance().metadata.revision > before
        await pod.delete()
        await it.until(lambda: not it.usages())
        await it.clock.advance(2)
        after = {operation: [node.platform.counts[operation] for node in it.nodes] for operation in operations}
        assert after["claim"] == [writes["claim"][0] + 1, *writes["claim"][1:]]
        assert after["release"] == [writes["release"][0] + 1, *writes["release"][1:]]
        assert (after["fence"], after["update"]) == (writes["fence"], writes["update"])


@pytest.mark.parametrize("fault", [LostBefore(5.0), LostAfter(5.0), Late(30.0), Slow(after=30.0)])
@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s9_a_claim_whose_answer_is_lost_frees_no_slot_in_use_and_leaks_none(level: str, fault: Fault) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        node.orders.add("claim", fault)
        try:
            pod = await node.run_pod("user", {resource(level): 1})
        except AdmissionError:
            pod = await node.run_pod("user-again", {resource(level): 1})
        for _ in range(80):
            await it.clock.advance(0.5)
            assert len(it.usages()) == 1
        await pod.delete()
        await it.until(lambda: not it.usages(), 60)
        await it.clock.advance(40)
        assert it.usages() == {}
        assert await _agrees(it, node)


@pytest.mark.parametrize("fault", [LostBefore(5.0), LostAfter(5.0), Late(30.0), Slow(after=30.0), Slow(before=8.0)])
@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s9_a_release_whose_answer_is_lost_never_frees_the_slot_of_the_next_pod(level: str, fault: Fault) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        pod = await node.run_pod("user", {resource(level): 1})
        await it.clock.advance(1)
        node.orders.add("release", fault)
        await pod.delete()
        await it.until(lambda: node.platform.counts["release"] > 0)
        pod = await node.run_pod("user", {resource(level): 1})
        for _ in range(80):
            await it.clock.advance(0.5)
            assert len(it.usages()) == 1
        await pod.delete()
        await it.until(lambda: not it.usages(), 60)
        assert await _agrees(it, node)


@pytest.mark.parametrize("fault", [LostAfter(5.0), Late(15.0), Slow(before=15.0), Slow(after=30.0)])
@pytest.mark.parametrize("level", ["cam", "cam-8120fe"])
async def test_s9_a_slot_that_a_lost_claim_took_for_a_pod_that_was_rejected_is_free_again(level: str, fault: Fault) -> None:
    async with cluster(device("foo0"), nodes=2) as it:
        await it.apply(configuration())
        node = it.nodes[0]
        node.orders.add("claim", fault)
        node.orders.add("fence", *[LostBefore(6.0)] * 4)
        with pytest.raises(AdmissionError):
            await node.run_pod("user", {resource(level): 1})
        await it.clock.advance(60)
        assert it.usages() == {}
        assert await _agrees(it, node)
        assert all(node.healthy("cam-8120fe") for node in it.nodes)
