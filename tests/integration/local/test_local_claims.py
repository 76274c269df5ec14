"""S5 and S6 with processes: claims at a store that cannot be written, and nodes that race for slots."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.integration.local.pair import begin_anew, failure_of, two_nodes
from tests.integration.local.plant import RejectedError

pytestmark = pytest.mark.timeout(240)


async def test_s5_a_claim_that_fails_on_a_full_disk_leaves_nothing_in_memory_and_no_slot_behind() -> None:
    async with two_nodes("foo0") as it:
        it.of("b").fill_disk()
        pod = await it.create("user", "cam-8120fe", node="b")
        for _ in range(30):
            await asyncio.sleep(0.5)
            assert it.usages() == {}
        it.of("b").free_disk()
        with pytest.raises(RejectedError, match="could not be claimed within 10 s"):
            await it.running(pod)
        await it.run("other", "cam-8120fe", node="a")
        assert it.usages() == {"cam-8120fe-0": "a"}
        await begin_anew(it, "other")
        await it.run("again", "cam", node="b")
        assert it.usages() == {"cam-8120fe-0": "C:cam-0:b"}


async def test_s5_a_request_for_several_devices_that_fails_half_way_gives_back_what_it_took() -> None:
    """Both nodes ask for all devices at the same moment, and each may get some: then neither has all, and nobody keeps one."""
    async with two_nodes(*(f"foo{index}" for index in range(16))) as it:
        for number in range(4):
            names = {node: f"user-{number}-{node}" for node in "ab"}
            await asyncio.gather(*(it.create(name, "cam", node=node, count=16) for node, name in names.items()))
            failures = {node: await failure_of(it, name) for node, name in names.items()}
            winners = [node for node, failure in failures.items() if not failure]
            assert len(winners) <= 1
            # It is given back before the pod is refused.
            assert [text[-1] for text in it.usages().values()] == winners * 16
            await begin_anew(it, *names.values())


async def test_s5_and_s6_oftwo_nodes_that_race_for_the_last_slot_exactly_one_wins_and_the_error_of_the_other_names_it() -> None:
    async with two_nodes("foo0") as it:
        named = 0
        for number in range(10):
            names = {node: f"user-{number}-{node}" for node in "ab"}
            level = "cam" if number % 3 == 2 else "cam-8120fe"
            await asyncio.gather(*(it.create(name, level, node=node) for node, name in random.sample(sorted(names.items()), 2)))
            failures = {node: await failure_of(it, name) for node, name in names.items()}
            (winner,) = [node for node, failure in failures.items() if not failure]
            (failure,) = [failure for failure in failures.values() if failure]
            # Who hears of it in time is told by its own device manager, which knows no holders.
            assert f"cam-8120fe-0 is held by {winner}" in failure or f"cam-8120fe is held by {winner}" in failure or "unhealthy" in failure
            named += "is held by" in failure
            assert [text[-1] for text in it.usages().values()] == [winner]
            await begin_anew(it, *names.values())
        assert named > 0


async def test_s6_a_race_for_the_last_slots_has_one_winner_for_each_though_a_node_is_killed_in_it() -> None:
    devices = [f"foo{index}" for index in range(6)]
    async with two_nodes(*devices) as it:
        names = [(f"{one.name}-{node}", one.name, node) for one in it.store.instances for node in "ab"]
        random.shuffle(names)
        tries = asyncio.gather(*(it.create(name, instance, node=node) for name, instance, node in names))
        await it.until(lambda: len(it.usages()) >= 2, "some are taken")
        it.of("b").kill()
        await tries
        await it.node("b")
        running = [name for name, _, _ in names if not await failure_of(it, name)]
        assert len({name[:-2] for name in running}) == len(running)
        # Node b waits until it knows for certain that a slot is not in use.
        await it.until(lambda: sorted(slot[:-2] for slot in it.usages()) == sorted(name[:-2] for name in running), "none is leaked")
        await begin_anew(it, *(name for name, _, _ in names))
