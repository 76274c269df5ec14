"""A store in a file, as one process and as several have it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from akri.clock import SystemClock
from akri.core.errors import InvalidValueError, OutcomeUnknownError, StateError
from akri.core.ids import ObjectKey
from akri.core.reports import ConfigurationStatus
from akri.core.usage import HeldByNode
from akri.platforms.local.sqlite.file import KEPT_TOMBSTONES
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Done, Gone, Put, Reset, Unknown
from akri.testing.clock import VirtualClock
from tests.contract.driver import A, B, configuration, done, slot
from tests.unit.platforms.local.sqlite.stores import (
    INSTANCE,
    KEY,
    LONG,
    event,
    opened,
    set_aside,
    until,
    with_instance,
)


async def test_what_was_stored_is_there_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "deep" / "state") as store:
        instance = await with_instance(store)
        claimed = done(await store.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
        await store.register_node(A)
        await store.cluster().set_status(KEY, store.configurations[0].metadata.uid, ConfigurationStatus(1, brokers=4))
        store.emit(event("good"), A)
        await store.create_pod(ObjectKey("default", "pod"), {"containers": [{"name": "main"}]}, node=A)
        seen = (store.configurations, store.instances, store.nodes, store.pods, store.status(KEY))
    async with opened(tmp_path / "deep" / "state") as store:
        assert (store.configurations, store.instances, store.nodes, store.pods, store.status(KEY)) == seen
        assert store.instances == (claimed,)
        assert [(past.event.message, past.node) for past in store.past_events] == [("good", A)]
        assert (await store.put_instance(evolve(claimed, capacity=3, nodes=(B,)))).metadata.revision > claimed.metadata.revision
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "deep" / "state", tmp_path / "deep/state/store.sqlite")] == [0o700, 0o600]
    assert set_aside(tmp_path / "deep" / "state") == []


async def test_changes_of_another_process_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        instance = await with_instance(one)
        await until(lambda: two.instance(INSTANCE) == instance)
        watch = two.node(B).watch_instances()
        assert await anext(watch) == Reset((instance,))
        claimed = done(await one.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)))
        assert await asyncio.wait_for(anext(watch), LONG) == Put(claimed)
        one.emit(event("hello"))
        await until(lambda: len(two.events) == 1)
        two.emit(event("hello"))
        two.emit(event("again"))
        await until(lambda: len(one.events) == 2)
        assert [past.event.message for past in one.past_events] == ["hello", "again"]
        await one.delete(KEY)
        gone = await asyncio.wait_for(anext(watch), LONG)
        assert isinstance(gone, Gone)
        assert (gone.key, gone.uid) == (INSTANCE, instance.metadata.uid)
        assert (one.configurations, one.instances) == ((), ())


async def test_of_two_processes_one_gets_the_slot(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        instance = await with_instance(one)
        done(await two.node(B).join(INSTANCE, instance.metadata.uid, B))
        outcomes = await asyncio.gather(
            one.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)), two.node(B).claim(INSTANCE, slot(instance), HeldByNode(B))
        )
        assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1


async def test_a_lost_ring_is_made_good_by_looking(tmp_path: Path) -> None:
    clock = VirtualClock(pause=0.001)
    async with opened(tmp_path) as one, opened(tmp_path, clock) as two:
        for path in (tmp_path / "notify").iterdir():
            path.unlink()
        stored = await one.apply(configuration())
        assert two.configurations == ()
        await clock.advance(1.5)
        await until(lambda: two.configurations == (stored,))


async def test_who_was_away_for_long_reads_everything(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, VirtualClock()) as two:
        first = await with_instance(one)
        await two.catch_up()
        for path in (tmp_path / "notify").iterdir():
            path.unlink()
        watch = two.node(A).watch_instances()
        assert await anext(watch) == Reset((first,))
        await one.delete(KEY)
        with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
            connection.execute("UPDATE counter SET revision = revision + ?", (KEPT_TOMBSTONES,))
            connection.execute("DELETE FROM tombstones")
            connection.commit()
        second = await with_instance(one)
        await two.catch_up()
        assert (two.instances, two.configurations) == ((second,), one.configurations)
        gone = await anext(watch)
        assert isinstance(gone, Gone)
        assert gone.uid == first.metadata.uid
        assert await anext(watch) == Put(second)


async def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.create_pod(KEY, {})
        before = store.pods
        with pytest.raises(InvalidValueError, match="a name that no other pod has"):
            await store.create_pod(KEY, {"other": {}})
        [pod] = before

        def fail(_pod: object) -> None:
            raise InvalidValueError("place", 1, "two")

        with pytest.raises(InvalidValueError):
            await store.change_pod(pod, fail)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it raises
        assert store.pods == before
        assert await store.change_pod(pod, lambda former: former) == pod


async def test_a_cancelled_question_is_done_all_the_same_and_shown(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        asking = asyncio.create_task(store.apply(configuration()))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        await store.catch_up()
        assert asking.cancelled()
        assert len(store.configurations) == 1


async def test_events_are_bounded_and_repetitions_dropped(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for number in range(1020):
            store.emit(event(f"number {number // 2}"))
        await store.catch_up()
        assert [len(store.events), store.events[-1].message] == [510, "number 509"]
        for number in range(600):
            store.emit(event("x", f"name-{number}"))
        await store.catch_up()
        assert [len(store.events), store.events[0].message] == [1000, "number 110"]
        follower = store.follow_past_events()
        assert (await anext(follower)).event == store.events[0]
    async with opened(tmp_path) as store:
        assert [len(store.events), store.events[0].message] == [1000, "number 110"]
        store.emit(event("x", "name-599"))
        await store.catch_up()
        assert len(store.events) == 1000


async def test_a_clock_that_jumps_back_changes_no_order(tmp_path: Path) -> None:
    async with opened(tmp_path, VirtualClock(wall=2e9)) as late:
        first = await late.apply(configuration("one"))
    async with opened(tmp_path, VirtualClock(wall=1e9)) as early:
        second = await early.apply(configuration("two"))
        early.emit(event("x"))
        await early.catch_up()
        assert second.metadata.revision > first.metadata.revision
        assert second.metadata.created < first.metadata.created
        assert len(early.events) == 1


async def test_a_folder_without_a_store_is_refused_where_one_must_be(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"holds no state of Akri: there is no store\.sqlite in it"):
        async with SqliteStore(tmp_path / "none", SystemClock(), must_exist=True):
            pass
    assert not (tmp_path / "none").exists()
    async with opened(tmp_path / "some"):
        pass
    async with SqliteStore(tmp_path / "some", SystemClock(), must_exist=True) as store:
        assert store.configurations == ()


async def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StateError, match="cannot be used"):
        async with opened(tmp_path / "file"):
            pass


async def test_nothing_is_answered_after_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        instance = await with_instance(store)
        node = store.node(A)
    with pytest.raises(OutcomeUnknownError, match="closed"):
        await store.apply(configuration("late"))
    assert isinstance(await node.fence(instance.key), Unknown)
    store.emit(event("late"))
    assert list((tmp_path / "notify").iterdir()) == []


async def test_one_that_is_kept_from_writing_says_so_and_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        instance = await with_instance(store)
        with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outcome = await store.node(A).fence(instance.key)
            assert isinstance(outcome, Unknown)
            assert "locked" in outcome.cause
            assert await store.node(A).read_instance(instance.key) == instance
            other.execute("ROLLBACK")
        done(await store.node(A).fence(instance.key))
