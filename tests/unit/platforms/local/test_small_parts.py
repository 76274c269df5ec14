"""Logs, events, fitting and the system clock."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from akri.clock import SystemClock
from akri.core.ids import NodeName, ObjectKey, ResourceName
from akri.core.metadata import Json, JsonObject, ObjectMeta
from akri.core.reports import Event, PastEvent, Reason
from akri.platforms.local.events import EventLog
from akri.platforms.local.logs import Lines, Tail, begin_log, prune_logs
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.node_runner import fitting
from akri.platforms.local.objects import Pod
from akri.ports import Clock
from akri.testing.clock import VirtualClock

CAM, DOG = ResourceName("akri.sh/cam"), ResourceName("akri.sh/dog")


def _pod(name: str, created: float = 0.0, **counts: int) -> Pod:
    limits: Json = {f"akri.sh/{key}": count for key, count in counts.items()}
    spec: JsonObject = {"containers": [{"name": "main", "resources": {"limits": limits}}]}
    return Pod(ObjectMeta(ObjectKey("default", name), created=created), spec)


def _event(number: int, kind: str = "Pod") -> PastEvent:
    return PastEvent(Event(kind, ObjectKey("default", "it"), Reason.BROKER_FAILED, f"number {number}"), float(number))


def test_pods_fit_beside_those_that_are_bound_the_oldest_first() -> None:
    waiting = [_pod("young", 2, cam=1), _pod("old", 1, cam=1), _pod("free", 3), _pod("other", 4, dog=1), _pod("big", 0, cam=9)]
    chosen = fitting(waiting, [_pod("bound", cam=1)], {CAM: 2, DOG: 1})
    assert [pod.metadata.key.name for pod in chosen] == ["old", "free", "other"]
    assert fitting([_pod("one", cam=1)], [], {}) == ()


def test_lines_are_cut_at_their_ends_and_where_they_are_too_long() -> None:
    heard: list[str] = []
    lines = Lines(heard.append)
    for piece in (b"on", b"e\ntw", b"o\n\n", b"\xff\n", b"x" * 20000):
        lines.write(piece)
    lines.close()
    lines.close()
    assert heard[:4] == ["one", "two", "", "\ufffd"]
    assert [len(line) for line in heard[4:]] == [8192, 8192, 20000 - 2 * 8192]


def test_a_log_that_begins_anew_keeps_one_predecessor_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    for text in (b"one", b"two", b""):
        begin_log(path)
        assert path.read_bytes() == b""
        path.write_bytes(text)
    begin_log(path)
    assert (path.read_bytes(), path.with_name("a.log.1").read_bytes()) == (b"", b"two")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(path.parent.iterdir())) == 2


def test_a_log_is_followed_from_its_end_on_over_rotation_and_truncation(tmp_path: Path) -> None:
    path, heard = tmp_path / "a.log", list[str]()
    Tail(path, Lines(heard.append)).close()
    path.write_bytes(b"before\n")
    tail = Tail(path, Lines(heard.append))
    tail.read()
    with path.open("ab") as file:
        file.write(b"one\ntw")
    tail.read()
    with path.open("ab") as file:
        file.write(b"o\n")
    path.replace(tmp_path / "a.log.1")
    tail.read()
    path.write_bytes(b"three\nand more than will be there\n")
    tail.read()
    path.write_bytes(b"four\nend")
    tail.close()
    assert heard == ["one", "two", "three", "and more than will be there", "four", "end"]


def test_the_oldest_logs_of_those_that_are_gone_are_removed(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.log" for number in range(6)]
    for number, path in enumerate(paths):
        path.touch()
        path.with_name(f"{path.name}.1").touch()
        os.utime(path, (1000 + number, 1000 + number))
    prune_logs(tmp_path, {paths[0]}, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.log", "0.log.1", "4.log", "4.log.1", "5.log", "5.log.1"]
    prune_logs(tmp_path / "none", set())


def test_repeated_events_are_dropped_and_old_ones_forgotten() -> None:
    log = EventLog()
    for number in (1, 1, 2, 2, 1):
        log.add(_event(number))
    log.add(_event(1, "Instance"))
    assert [past.event.message for past in log.events] == ["number 1", "number 2", "number 1", "number 1"]
    for number in range(2000):
        log.add(_event(number))
    assert len(log.events) == 1000
    assert log.events[-1] == _event(1999)


async def test_events_are_followed_from_the_first_that_is_kept() -> None:
    log = EventLog()
    log.add(_event(1))
    follower = log.follow()
    assert await anext(follower) == _event(1)
    following = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    log.add(_event(2))
    log.add(_event(3))
    assert [await following, await anext(follower)] == [_event(2), _event(3)]
    for number in range(4, 3000):
        log.add(_event(number))
    assert await anext(follower) == _event(2000)


async def test_the_system_clock_is_a_clock() -> None:
    clock: Clock = SystemClock()
    before, wall = clock.now(), clock.wall()
    await clock.sleep(0.001)
    await clock.sleep(0)
    assert clock.now() > before
    assert clock.wall() >= wall
    assert 0 <= clock.random() < 1


async def test_a_pod_that_names_no_node_waits_for_one_that_is_ready() -> None:
    store = MemoryStore(VirtualClock())
    pod = await store.create_pod(ObjectKey("default", "user"), {"containers": []})
    assert (pod.node, pod.bound) == ("", False)
    await store.set_node_ready(NodeName("node-b"), ready=False)
    assert store.pods[0].node == ""
    await store.register_node(NodeName("node-c"))
    assert store.pods[0].node == "node-c"
    await store.remove_node(NodeName("node-c"))
    assert store.pods == ()
