"""The contract of watches: Reset first, the order per object, a sign of life, no object forgotten, whatever the network does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from attrs import evolve

from akri.core.configuration import Configuration
from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.usage import HeldByNode
from akri.ports import Alive, ConfigurationObservation, Gone, Put, Reset, WatchEvent
from akri.scheduling.model import NodeState
from tests.contract.driver import A, B, C, Driver, Seen, configuration, done, instance_of, made, slot, until, watching

RESOURCE = ResourceName("akri.sh/cam-8120fe")
POD = ObjectKey("default", "user")


def _key(value: ConfigurationObservation | Instance) -> ObjectKey:
    return value.key


def _revision(value: ConfigurationObservation | Instance) -> int:
    return value.metadata.revision


def _pod_key(pod: PodObservation) -> ObjectKey:
    return pod.key


async def test_a_watch_begins_with_all_that_is_there(driver: Driver) -> None:
    instance = await made(driver, A)
    async with watching(driver, driver.node(B).watch_instances(), _key, _revision) as seen:
        assert isinstance(seen.events[0], Reset)
        assert seen.state == {instance.key: instance}


async def test_a_watch_of_nothing_begins_with_an_empty_reset(driver: Driver) -> None:
    async with watching(driver, driver.node(B).watch_instances(), _key, _revision) as seen:
        assert seen.events[0] == Reset(())


async def test_every_node_sees_every_change_in_order(driver: Driver) -> None:
    async with (
        watching(driver, driver.node(A).watch_instances(), _key, _revision) as seen,
        watching(driver, driver.cluster().watch_instances(), _key, _revision) as controller,
    ):
        instance = await made(driver, A, B)
        for _ in range(5):
            instance = done(await driver.node(B).claim(instance.key, slot(instance), HeldByNode(B)))
            instance = done(await driver.node(B).release(instance, slot(instance), HeldByNode(B)))
            await driver.settle()
        await until(driver, lambda: seen.state == controller.state == {instance.key: instance})
        assert seen.state == controller.state == {instance.key: instance}
        for node in (A, B):
            await driver.node(node).leave(instance.key, instance.metadata.uid, node)
        await until(driver, lambda: not (seen.state or controller.state))
        assert seen.state == controller.state == {}


async def test_an_object_made_again_under_its_name_is_another_one(driver: Driver) -> None:
    async with watching(driver, driver.node(B).watch_instances(), _key, _revision) as seen:
        first = await made(driver, A)
        await driver.settle()
        await driver.node(A).leave(first.key, first.metadata.uid, A)
        second = await made(driver, A)
        await until(driver, lambda: seen.state == {second.key: second})
        assert second.metadata.uid != first.metadata.uid
        assert seen.state == {second.key: second}
        gone = [event for event in seen.events if isinstance(event, Gone)]
        assert all(event.uid == first.metadata.uid for event in gone)


async def test_a_cut_watch_comes_back_with_a_reset_and_misses_nothing(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    async with watching(driver, driver.node(B).watch_instances(), _key, _revision) as seen:
        kept = done(await driver.node(A).create(instance_of(stored)))
        lost = done(await driver.node(A).create(instance_of(stored, digest="a19705")))
        await driver.settle()
        await driver.cut()
        await driver.node(A).leave(lost.key, lost.metadata.uid, A)
        kept = done(await driver.node(A).claim(kept.key, slot(kept), HeldByNode(A)))
        await driver.cut()
        await until(driver, lambda: seen.state == {kept.key: kept})
        assert seen.resets >= 1
        assert seen.state == {kept.key: kept}


async def test_silence_never_lasts_longer_than_five_seconds(driver: Driver) -> None:
    async with watching(driver, driver.node(B).watch_instances(), _key, _revision) as seen:
        for _ in range(2):
            before = len(seen.events)
            await driver.pass_time(5)
            assert len(seen.events) > before
        assert all(isinstance(event, Reset | Alive) for event in seen.events)


async def test_a_watch_that_nobody_reads_for_long_tells_the_last_state_of_everything(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    watch = driver.node(B).watch_instances()
    first = await _first(driver, watch)
    assert isinstance(first, Reset)
    changing = done(await driver.node(A).create(instance_of(stored)))
    passing = done(await driver.node(A).create(instance_of(stored, digest="a19705")))
    for _ in range(30):
        changing = done(await driver.node(A).claim(changing.key, slot(changing), HeldByNode(A)))
        changing = done(await driver.node(A).release(changing, slot(changing), HeldByNode(A)))
    await driver.node(A).leave(passing.key, passing.metadata.uid, A)
    seen: Seen[Instance] = Seen(_key, _revision)
    seen.take(first)

    async def read() -> None:
        async for event in watch:
            seen.take(event)

    task = asyncio.create_task(read())
    await until(driver, lambda: seen.state == {changing.key: changing})
    assert seen.state == {changing.key: changing}
    assert seen.broken == []
    task.cancel()
    await asyncio.wait({task})


async def test_configurations_are_watched_with_their_generations(driver: Driver) -> None:
    key = configuration().key
    async with watching(driver, driver.node(A).watch_configurations(), _key, _revision) as seen:
        first = await driver.apply(configuration())
        await until(driver, lambda: seen.state == {key: first})
        assert seen.state == {key: first}
        annotated = await driver.apply(configuration(grace="7"))
        assert annotated.metadata.generation == first.metadata.generation
        edited = await driver.apply(configuration(capacity=5, grace="7"))
        assert edited.metadata.generation > first.metadata.generation
        assert edited.metadata.uid == first.metadata.uid
        assert edited.metadata.revision > annotated.metadata.revision > first.metadata.revision
        await until(driver, lambda: seen.state == {key: edited})
        shown = seen.state[key]
        assert isinstance(shown, Configuration)
        assert shown.capacity == 5
        await driver.delete_configuration(key)
        await until(driver, lambda: not seen.state)
        assert seen.state == {}


async def test_applying_the_same_configuration_again_changes_nothing(driver: Driver) -> None:
    first = await driver.apply(configuration())
    assert (await driver.apply(configuration())).metadata.revision == first.metadata.revision


async def test_a_node_watches_its_own_pods_from_request_to_end(driver: Driver) -> None:
    async with (
        watching(driver, driver.node(A).watch_pods(), _pod_key) as seen,
        watching(driver, driver.node(B).watch_pods(), _pod_key) as other,
    ):
        await driver.create_user_pod(POD, A, RESOURCE, 2)
        await until(driver, lambda: POD in seen.state)
        pod = seen.state[POD]
        assert (pod.key, pod.ended, pod.requests) == (POD, False, {RESOURCE: 2})
        assert pod.uid
        await driver.end_pod(POD, succeeded=True)
        await until(driver, lambda: seen.state[POD].ended)
        assert seen.state[POD] == evolve(pod, ended=True)
        assert other.state == {}


async def test_a_slow_reader_too_sees_a_pod_ended_before_it_is_gone(driver: Driver) -> None:
    watch = driver.node(A).watch_pods()
    gate = asyncio.Event()
    seen: Seen[PodObservation] = Seen(_pod_key, lambda _: 0)
    await driver.create_user_pod(POD, A, RESOURCE, 1)

    async def read() -> None:
        async for event in watch:
            seen.take(event)
            if POD in seen.state:
                await gate.wait()

    task = asyncio.create_task(read())
    await until(driver, lambda: POD in seen.state)
    await driver.delete_pod(POD, force=False)
    await driver.settle()
    assert POD in seen.state
    await driver.finish_pod(POD)
    await driver.settle()
    gate.set()
    await until(driver, lambda: not seen.state)
    task.cancel()
    await asyncio.wait({task})
    told = [event for event in seen.events if isinstance(event, Gone) or (isinstance(event, Put) and event.object.ended)]
    # A watch that was cut meanwhile may know no more than that the pod is not there.
    assert seen.resets > 1 or [type(event) for event in told] == [Put, Gone]
    assert seen.state == {}


async def test_a_slow_reader_too_is_told_that_an_object_was_made_again(driver: Driver) -> None:
    first = await made(driver, A)
    watch = driver.node(B).watch_instances()
    seen: Seen[Instance] = Seen(_key, _revision)
    seen.take(await _first(driver, watch))
    await driver.node(A).leave(first.key, first.metadata.uid, A)
    second = await made(driver, A)
    await driver.node(A).leave(second.key, second.metadata.uid, A)
    third = await made(driver, A)

    async def read() -> None:
        async for event in watch:
            seen.take(event)

    task = asyncio.create_task(read())
    await until(driver, lambda: seen.state == {third.key: third})
    task.cancel()
    await asyncio.wait({task})
    told = [event for event in seen.events if isinstance(event, Gone | Put)]
    assert seen.resets > 1 or (isinstance(told[0], Gone) and told[0].uid == first.metadata.uid)
    assert seen.state == {third.key: third}
    assert seen.broken == []


async def test_a_force_deleted_pod_is_gone_without_having_been_seen_to_end(driver: Driver) -> None:
    async with watching(driver, driver.node(A).watch_pods(), _pod_key) as seen:
        await driver.create_user_pod(POD, A, RESOURCE, 1)
        await until(driver, lambda: POD in seen.state)
        await driver.delete_pod(POD, force=True)
        await until(driver, lambda: not seen.state)
        assert seen.state == {}
        assert not any(isinstance(event, Put) and event.object.ended for event in seen.events)


async def test_nodes_are_watched(driver: Driver) -> None:
    async with watching(driver, driver.cluster().watch_nodes(), _node_key) as seen:
        assert {key.name for key in seen.state} == {A, B, C}
        assert all(state.ready for state in seen.state.values())
        await driver.pass_time(1)
        await driver.set_node_ready(B, ready=False)
        await until(driver, lambda: not seen.state[ObjectKey("", B)].ready)
        lost = seen.state[ObjectKey("", B)]
        assert not lost.ready
        assert lost.since >= seen.state[ObjectKey("", A)].since
        await driver.remove_node(C)
        await until(driver, lambda: len(seen.state) == 2)
        assert {key.name for key in seen.state} == {A, B}
        for event in seen.events:
            if isinstance(event, Gone):
                assert event.key == ObjectKey("", NodeName(C))


async def test_metadata_that_users_write_reaches_the_agents(driver: Driver) -> None:
    wanted = configuration()
    labelled = evolve(wanted, metadata=evolve(wanted.metadata, labels={"team": "a"}, annotations={"akri.sh/grace": "7"}))
    stored = await driver.apply(labelled)
    async with watching(driver, driver.node(A).watch_configurations(), _key, _revision) as seen:
        shown = seen.state[stored.key]
        assert isinstance(shown, Configuration)
        assert (shown.metadata.labels, shown.grace) == ({"team": "a"}, 7.0)
        assert isinstance(shown.metadata, ObjectMeta)


def _node_key(node: NodeState) -> ObjectKey:
    return ObjectKey("", node.name)


async def _first(driver: Driver, watch: AsyncIterator[WatchEvent[Instance]]) -> WatchEvent[Instance]:
    """The first event, which may come after some time."""

    async def read() -> WatchEvent[Instance]:
        return await anext(watch)

    task = asyncio.create_task(read())
    await until(driver, task.done)
    return await task
