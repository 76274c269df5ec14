"""A store in a file, as one process and as several have it, and what becomes of it when the file is not what it should be."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from attrs import evolve

from akri.clock import SystemClock
from akri.core.errors import InvalidValueError, OutcomeUnknownError, StateError
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, Event, Reason
from akri.core.usage import HeldByNode
from akri.platforms.local import documents
from akri.platforms.local.sqlite.file import KEPT_TOMBSTONES, VERSION
from akri.platforms.local.sqlite.restoring import LEAP
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Clock, Done, Gone, Put, Reset, Unknown
from akri.testing.clock import VirtualClock
from tests.contract.driver import A, B, configuration, done, instance_of, slot

KEY = ObjectKey("default", "cam")
INSTANCE = ObjectKey("default", "cam-8120fe")
LONG = 30.0


@asynccontextmanager
async def opened(folder: Path, clock: Clock | None = None) -> AsyncGenerator[SqliteStore]:
    async with SqliteStore(folder, clock or SystemClock()) as store:
        yield store


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another store tells."""
    async with asyncio.timeout(LONG):
        while not condition():  # noqa: ASYNC110 - a thread wakes nobody
            await asyncio.sleep(0.005)


async def with_instance(store: SqliteStore) -> Instance:
    stored = await store.apply(configuration(capacity=3))
    return done(await store.node(A).create(instance_of(stored, A, capacity=3)))


def event(message: str, name: str = "cam") -> Event:
    return Event("Configuration", ObjectKey("default", name), Reason.ACCEPTED, message)


def set_aside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("store.sqlite.*"))


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


async def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.apply(configuration())
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("UPDATE counter SET version = ?", (VERSION + 1,))
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.commit()
    with pytest.raises(StateError, match=f"has version {VERSION + 1}, written by a newer Akri"):
        async with opened(tmp_path):
            pass
    assert set_aside(tmp_path) == []


async def test_an_upgrade_by_another_process_ends_the_work_of_an_older_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "new") as newer:
        await newer.apply(configuration())
    with closing(sqlite3.connect(tmp_path / "new/store.sqlite")) as connection:
        connection.execute("UPDATE counter SET version = ?", (VERSION + 1,))
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.commit()
    async with opened(tmp_path / "old") as store:
        await store.apply(configuration("mine"))
        delete(tmp_path / "old")
        (tmp_path / "new/store.sqlite").rename(tmp_path / "old/store.sqlite")
        with pytest.raises(OutcomeUnknownError, match="newer Akri"):
            await store.apply(configuration("other"))
        assert [one.key.name for one in store.configurations] == ["mine"]


_FIRST_SCHEMA = (
    "CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 0), revision INTEGER NOT NULL) STRICT",
    """CREATE TABLE objects (
        revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
        document TEXT NOT NULL, UNIQUE (kind, namespace, name)) STRICT""",
    """CREATE TABLE tombstones (
        revision INTEGER PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
        last INTEGER NOT NULL, document TEXT NOT NULL) STRICT""",
    "CREATE TABLE events (revision INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT",
    "PRAGMA user_version = 1",
)


async def test_the_first_version_is_upgraded(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        instance = await with_instance(store)
        claimed = done(await store.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
        store.emit(event("kept"))
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as today:
        objects = today.execute("SELECT revision, kind, namespace, name, uid, document FROM objects").fetchall()
        events = today.execute("SELECT revision, document FROM events").fetchall()
        [(revision,)] = today.execute("SELECT revision FROM counter").fetchall()
    delete(tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as first:
        first.execute("PRAGMA journal_mode = WAL")
        for statement in _FIRST_SCHEMA:
            first.execute(statement)
        first.execute("INSERT INTO counter VALUES (0, ?)", (revision,))
        first.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)", objects)
        first.executemany("INSERT INTO events VALUES (?, ?)", events)
        first.commit()
    async with opened(tmp_path) as store:
        assert store.instances == (claimed,)
        assert [one.message for one in store.events] == ["kept"]
        assert done(await store.node(A).fence(claimed.key)).metadata.revision > claimed.metadata.revision
    assert [name.rpartition("-")[0] for name in set_aside(tmp_path)] == ["store.sqlite.version-1"]


def write_broker(folder: Path, instance: Instance) -> None:
    record = folder / "brokers" / "uid-of-a-pod" / "pod.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"version": 1, "pod": {}, "instance": documents.INSTANCE.write(instance)}), encoding="utf-8")
    (folder / "brokers" / "half").mkdir()
    (folder / "brokers" / "half" / "pod.json").write_text('{"version": 1, "po', encoding="utf-8")


@pytest.mark.parametrize("seed", range(12))
async def test_damage_is_noticed_and_what_brokers_hold_stays_held(tmp_path: Path, seed: int) -> None:
    """Whatever of the file is damaged, the store is as it was, or built anew: never a mixture."""
    chance = random.Random(seed)
    async with opened(tmp_path) as store:
        first = await store.apply(configuration(capacity=3))
        instance = done(await store.node(A).create(instance_of(first, A, capacity=3)))
        claimed = done(await store.node(A).claim(instance.key, slot(instance, 1), HeldByNode(A)))
        for index in range(20):
            await store.node(A).create(instance_of(first, A, digest=f"{index:06x}", capacity=3))
        await store.apply(configuration("gone"))
        await store.delete(ObjectKey("default", "gone"))
        whole = store.instances
    write_broker(tmp_path, claimed)
    path = tmp_path / "store.sqlite"
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    if seed % 3 == 0:
        content[place] ^= 1 << chance.randrange(8)
    elif seed % 3 == 1:
        content[place : place + 100] = chance.randbytes(len(content[place : place + 100]))
    else:
        del content[place:]
    path.write_bytes(content)
    async with opened(tmp_path) as store:
        assert [one.key for one in store.configurations] == [KEY]
        assert store.configurations[0].metadata.uid == first.metadata.uid
        held = store.instance(INSTANCE)
        assert held is not None
        assert (held.metadata.uid, held.device_usage) == (claimed.metadata.uid, claimed.device_usage)
        if set_aside(tmp_path):
            assert store.instances == (held,)
            assert held.metadata.revision > LEAP
        else:
            assert store.instances == whole
        done(await store.node(A).claim(INSTANCE, slot(held), HeldByNode(A)))


def spoil(folder: Path) -> None:
    """Write over everything that the file and its log hold."""
    for path in (folder / "store.sqlite", folder / "store.sqlite-wal"):
        path.write_bytes(b"x" * path.stat().st_size)


def delete(folder: Path) -> None:
    """Delete the file, its log and its index."""
    for path in folder.glob("store.sqlite*"):
        path.unlink()


async def test_a_file_that_is_deleted_under_running_processes_is_built_anew_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        instance = await with_instance(one)
        for message in ("first", "second"):
            one.emit(event(message))
        await two.catch_up()
        delete(tmp_path)
        claimed = done(await one.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)))
        assert claimed.metadata.revision > LEAP
        assert not isinstance(await two.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)), Done)
        second = done(await two.node(A).claim(INSTANCE, slot(instance, 1), HeldByNode(A)))
        await until(lambda: one.instances == two.instances == (second,))
        assert [told.message for told in one.events] == [told.message for told in two.events] == ["first", "second"]
        assert one.configurations == two.configurations != ()
        assert set_aside(tmp_path) == []
    async with opened(tmp_path) as again:
        assert again.instances == (second,)


async def test_damage_that_a_newcomer_finds_is_put_right_for_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        instance = await with_instance(one)
        claimed = done(await one.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)))
        write_broker(tmp_path, claimed)
        spoil(tmp_path)
        async with opened(tmp_path) as newcomer:
            [found] = newcomer.instances
            assert (found.metadata.uid, found.device_usage) == (claimed.metadata.uid, claimed.device_usage)
            second = done(await two.node(A).claim(INSTANCE, slot(instance, 1), HeldByNode(A)))
            await until(lambda: one.instances == two.instances == newcomer.instances == (second,))
            assert one.configurations == two.configurations == newcomer.configurations != ()
    assert {name.rpartition("-")[0] for name in set_aside(tmp_path)} >= {"store.sqlite.damaged"}


async def test_changes_that_a_power_loss_took_come_back_from_the_records(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    async with opened(tmp_path / "state") as store:
        instance = await with_instance(store)
        done(await store.node(A).claim(INSTANCE, slot(instance, 2), HeldByNode(A)))
        await store.apply(configuration("gone"))
    shutil.copytree(tmp_path / "state", earlier, ignore=shutil.ignore_patterns("notify"))
    async with opened(tmp_path / "state") as store:
        late = await store.apply(configuration("late"))
        await store.delete(ObjectKey("default", "gone"))
        claimed = done(await store.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)))
    write_broker(tmp_path / "state", claimed)
    shutil.copy(earlier / "store.sqlite", tmp_path / "state" / "store.sqlite")
    for _ in range(2):
        async with opened(tmp_path / "state") as store:
            assert {one.key.name: one.metadata.uid for one in store.configurations}["late"] == late.metadata.uid
            assert [one.device_usage for one in store.instances] == [claimed.device_usage]
            assert LEAP < store.instances[0].metadata.revision < 2 * LEAP
    assert set_aside(tmp_path / "state") == []


async def test_configurations_are_kept_beside_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "applied"
    async with opened(tmp_path) as store:
        stored = await store.apply(configuration())
        [path] = folder.iterdir()
        assert path.name == "default.cam.yaml"
        assert path.stat().st_mode & 0o777 == 0o600
        assert documents.CONFIGURATION.read(json.loads(path.read_text(encoding="utf-8"))) == stored
        before = path.stat().st_ino
        await store.cluster().set_status(KEY, stored.metadata.uid, ConfigurationStatus(1))
        assert path.stat().st_ino == before
        await store.apply(configuration("odd"))
        await store.delete(ObjectKey("default", "odd"))
        assert [one.name for one in folder.iterdir()] == ["default.cam.yaml"]
        left = path.read_bytes()
        await store.delete(KEY)
        assert list(folder.iterdir()) == []
    path.write_bytes(left)
    async with opened(tmp_path) as store:
        assert (store.configurations, list(folder.iterdir())) == ((), [])


async def test_node_names_and_rings_need_no_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    async with opened(deep) as one, opened(deep) as two:
        await one.register_node(NodeName("node"))
        await until(lambda: len(two.nodes) == 1)
