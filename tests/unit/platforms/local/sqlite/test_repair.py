"""What becomes of a store whose file is missing, damaged, older or newer, and of what stands beside it."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve

from akri.core.errors import OutcomeUnknownError, StateError
from akri.core.ids import NodeName, ObjectKey
from akri.core.reports import ConfigurationStatus
from akri.core.usage import HeldByNode
from akri.platforms.local import documents
from akri.platforms.local.sqlite.file import VERSION
from akri.platforms.local.sqlite.records import Applied
from akri.platforms.local.sqlite.restoring import LEAP
from akri.ports import Done
from akri.testing.clock import VirtualClock
from tests.contract.driver import A, configuration, done, instance_of, slot
from tests.unit.platforms.local.sqlite.stores import (
    INSTANCE,
    KEY,
    delete,
    event,
    opened,
    set_aside,
    spoil,
    until,
    with_instance,
    write_broker,
)


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


async def test_a_file_that_is_deleted_under_running_processes_is_built_anew_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        instance = await with_instance(one)
        for message in ("first", "second"):
            one.emit(event(message))
        await one.catch_up()
        await two.catch_up()  # whoever builds it anew knows all
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


async def test_a_claim_that_whoever_built_it_anew_did_not_know_is_held_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path, VirtualClock()) as two:
        instance = await with_instance(one)
        await two.catch_up()
        for path in (tmp_path / "notify").iterdir():
            path.unlink()
        done(await one.node(A).claim(INSTANCE, slot(instance), HeldByNode(A)))
        delete(tmp_path)
        done(await two.node(A).claim(INSTANCE, slot(instance, 1), HeldByNode(A)))
        last = done(await one.node(A).claim(INSTANCE, slot(instance, 2), HeldByNode(A)))
        assert set(last.device_usage.values()) == {A}
        assert await two.node(A).read_instance(INSTANCE) == last


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


def test_a_file_that_another_process_wrote_later_stays(tmp_path: Path) -> None:
    one, two = Applied(tmp_path), Applied(tmp_path)
    early = configuration(capacity=1)
    late = configuration(capacity=2)
    stored = [evolve(value, metadata=evolve(value.metadata, uid="uid", revision=revision)) for value, revision in ((early, 10), (late, 12))]
    two.follow(KEY, stored[1], 12)
    one.follow(KEY, stored[0], 10)
    one.follow(KEY, None, 11)
    [path] = tmp_path.glob("*.yaml")
    assert documents.CONFIGURATION.read(json.loads(path.read_text(encoding="utf-8"))) == stored[1]
    one.follow(KEY, None, 13)
    assert list(tmp_path.glob("*.yaml")) == []


async def test_node_names_and_rings_need_no_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    async with opened(deep) as one, opened(deep) as two:
        await one.register_node(NodeName("node"))
        await until(lambda: len(two.nodes) == 1)
