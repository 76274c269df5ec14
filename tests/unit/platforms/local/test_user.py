"""The local platform as people see it: what is stored, what brokers are like, and what they wrote."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from akri.cli.overview import look
from akri.clock import SystemClock
from akri.core.codec import read_configuration
from akri.core.errors import StateError
from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import JsonObject
from akri.core.reports import Event, Reason
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.user import LocalUser, opened_user
from akri.scheduling.model import Phase
from akri.testing.clock import VirtualClock

ECHO: JsonObject = {
    "apiVersion": "akri.sh/v0",
    "kind": "Configuration",
    "metadata": {"name": "echo"},
    "spec": {"discoveryHandler": {"name": "debugEcho", "discoveryDetails": "descriptions: [foo0]"}},
}
POD: JsonObject = {"initContainers": [{"name": "first", "command": ["true"]}], "containers": [{"name": "main", "command": ["sleep", "1"]}]}
KEY = ObjectKey("default", "broker")


async def test_a_look_holds_everything_at_one_moment() -> None:
    store = MemoryStore(VirtualClock())
    user = LocalUser(store)
    stored = await user.apply(read_configuration(ECHO))
    await store.register_node(NodeName("n"))
    store.emit(Event("Configuration", stored.key, Reason.ACCEPTED, "good"))

    seen = await look(user)

    assert seen.configurations == (stored,)
    assert [node.name for node in seen.nodes] == ["n"]
    assert [past.event.message for past in seen.events] == ["good"]
    assert await user.delete(stored.key)
    assert not await user.delete(stored.key)
    assert (await look(user)).configurations == ()


async def test_a_pod_is_told_with_its_containers() -> None:
    store = MemoryStore(VirtualClock())
    await store.create_pod(KEY, POD)

    pod = await LocalUser(store).read_pod(KEY)

    assert pod is not None
    assert pod.phase is Phase.PENDING
    assert [(one.name, one.init) for one in pod.containers] == [("first", True), ("main", False)]
    assert await LocalUser(store).read_pod(ObjectKey("default", "other")) is None


async def test_a_log_is_read_from_both_files_and_by_its_last_lines(tmp_path: Path) -> None:
    user = LocalUser(MemoryStore(VirtualClock()), tmp_path)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "default_broker_main.log"
    assert [line async for line in user.read_log(KEY, "main")] == []
    log.write_text("three\nfour")
    log.with_name(f"{log.name}.1").write_text("one\ntwo\n")

    assert [line async for line in user.read_log(KEY, "main")] == ["one", "two", "three", "four"]
    assert [line async for line in user.read_log(KEY, "main", tail=1)] == ["four"]


async def test_a_log_is_followed_through_a_rotation_until_the_pod_is_gone(tmp_path: Path) -> None:
    store = MemoryStore(VirtualClock())
    await store.create_pod(KEY, POD)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "default_broker_main.log"
    log.write_text("one\n")
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        async for line in LocalUser(store, tmp_path).read_log(KEY, "main", follow=True):
            heard.put_nowait(line)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(listen())
        assert await heard.get() == "one"
        with log.open("a") as file:
            file.write("two\n")
        log.rename(log.with_name(f"{log.name}.1"))
        log.write_text("three\n")
        assert [await heard.get(), await heard.get()] == ["two", "three"]
        await store.delete_pod(KEY, force=True)


async def test_pods_that_ask_for_devices_are_listed_those_of_users_too() -> None:
    store = MemoryStore(VirtualClock())
    asking: JsonObject = {"containers": [{"name": "main", "resources": {"limits": {"akri.sh/echo-8120fe": 1}}}]}
    await store.create_pod(ObjectKey("default", "user"), asking)
    await store.create_pod(ObjectKey("default", "broker"), POD, instance=ObjectKey("default", "echo-8120fe"))
    await store.create_pod(ObjectKey("default", "other"), {"containers": [{"name": "m", "resources": {"limits": {"example.com/gpu": 1}}}]})

    assert [pod.metadata.key.name for pod in await LocalUser(store).read_pods()] == ["broker", "user"]


async def test_what_a_former_pod_of_the_name_wrote_is_a_log_of_its_own(tmp_path: Path) -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    await store.create_pod(KEY, POD)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "default_broker_main.log"
    older = log.with_name(f"{log.name}.1")
    user = LocalUser(store, tmp_path)
    log.write_text("new\n")

    with pytest.raises(StateError, match=r"nothing is kept of what a pod of this name wrote before"):
        _ = [line async for line in user.read_log(KEY, "main", previous=True)]
    older.write_text("old\n")
    os.utime(older, (clock.wall() - 10, clock.wall() - 10))

    assert [line async for line in user.read_log(KEY, "main")] == ["new"]
    assert [line async for line in user.read_log(KEY, "main", previous=True)] == ["old"]
    os.utime(older, (clock.wall() + 10, clock.wall() + 10))
    assert [line async for line in user.read_log(KEY, "main")] == ["old", "new"]


async def test_a_state_folder_is_opened_where_there_is_a_store(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="holds no state of Akri"):
        async with opened_user(tmp_path, SystemClock()):
            pass
    async with SqliteStore(tmp_path, SystemClock()) as store:
        stored = await store.apply(read_configuration(ECHO))

    async with opened_user(tmp_path, SystemClock()) as user:
        assert (await look(user)).configurations == (stored,)
