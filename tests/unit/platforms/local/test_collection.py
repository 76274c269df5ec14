"""Watched collections: what a slow or absent reader costs, and that what it is told always adds up to what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from akri.core.ids import ObjectKey
from akri.platforms.local.collection import ALIVE_EVERY, Collection
from akri.platforms.local.shelf import Entry
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from akri.testing.clock import VirtualClock

A, B = ObjectKey("", "a"), ObjectKey("", "b")
_Step: TypeAlias = tuple[str, str]


def _entry(key: ObjectKey, revision: int, value: str = "", uid: str = "") -> Entry[str]:
    return Entry(key, uid or f"uid-{key.name}", revision, value or f"{key.name}{revision}")


def _everything(value: str) -> str:
    return value


async def test_only_the_last_state_is_kept_for_a_reader_that_is_away() -> None:
    collection: Collection[str] = Collection(VirtualClock())
    watch = collection.watch(_everything)
    assert await anext(watch) == Reset(())
    for revision in range(1, 1000):
        collection.put(_entry(A, revision))
        collection.put(_entry(B, revision))
    assert [await anext(watch), await anext(watch)] == [Put("a999"), Put("b999")]


async def test_the_last_state_is_told_before_the_end() -> None:
    collection: Collection[str] = Collection(VirtualClock())
    collection.put(_entry(A, 1))
    watch = collection.watch(_everything)
    assert await anext(watch) == Reset(("a1",))
    collection.put(_entry(A, 2, "ended"))
    collection.remove(A, 3)
    assert [await anext(watch), await anext(watch)] == [Put("ended"), Gone(A, "uid-a", 3)]


async def test_what_came_and_went_unheard_of_is_not_mentioned() -> None:
    collection: Collection[str] = Collection(VirtualClock())
    watch = collection.watch(_everything)
    assert await anext(watch) == Reset(())
    collection.put(_entry(A, 1))
    collection.remove(A, 2)
    collection.remove(A, 3)
    collection.put(_entry(B, 4))
    assert await anext(watch) == Put("b4")


async def test_an_object_made_again_is_gone_first() -> None:
    collection: Collection[str] = Collection(VirtualClock())
    collection.put(_entry(A, 1, uid="one"))
    watch = collection.watch(_everything)
    assert await anext(watch) == Reset(("a1",))
    collection.remove(A, 2)
    collection.put(_entry(A, 3, uid="two"))
    collection.remove(A, 4)
    collection.put(_entry(A, 5, uid="three"))
    assert [await anext(watch), await anext(watch)] == [Gone(A, "one", 2), Put("a5")]


async def test_a_watch_of_some_sees_objects_come_and_go_as_they_match() -> None:
    collection: Collection[str] = Collection(VirtualClock())
    watch = collection.watch(lambda value: value if value.startswith("yes") else None)
    assert await anext(watch) == Reset(())
    collection.put(_entry(A, 1, "no"))
    collection.put(_entry(B, 2, "yes"))
    assert await anext(watch) == Put("yes")
    collection.put(_entry(B, 3, "yes"))
    collection.put(_entry(A, 4, "yes, too"))
    assert await anext(watch) == Put("yes, too")
    collection.put(_entry(A, 5, "no"))
    assert await anext(watch) == Gone(A, "uid-a", 5)


async def test_silence_is_broken_and_an_ended_watch_leaves_nothing() -> None:
    clock = VirtualClock()
    collection: Collection[str] = Collection(clock)
    seen: list[WatchEvent[str]] = []

    async def read() -> None:
        async for event in collection.watch(_everything):
            seen.append(event)  # noqa: PERF401 - the list grows while the watch goes on

    task = asyncio.create_task(read())
    await clock.advance(2 * ALIVE_EVERY)
    assert seen == [Reset(()), Alive(), Alive()]
    task.cancel()
    await asyncio.wait({task})
    await clock.settle()
    assert clock.sleeping == 0


@given(st.lists(st.tuples(st.sampled_from(["put", "remove", "read", "pause"]), st.sampled_from("abc")), max_size=40))
def test_what_a_watch_tells_adds_up_to_what_is_there(steps: Sequence[_Step]) -> None:
    asyncio.run(_adds_up(steps))


async def _adds_up(steps: Sequence[_Step]) -> None:
    clock = VirtualClock()
    collection: Collection[str] = Collection(clock)
    told: dict[str, str] = {}
    gate = asyncio.Event()

    async def read() -> None:
        async for event in collection.watch(_everything):
            match event:
                case Put(value):
                    assert value[1:] > told.get(value[0], "")
                    told[value[0]] = value[1:]
                case Gone(key):
                    del told[key.name]
                case Reset() | Alive():
                    pass
            await gate.wait()

    task = asyncio.create_task(read())
    await clock.settle()
    for revision, step in enumerate([*steps, ("read", "a")], start=1):
        _take(collection, gate, step, revision)
        await clock.settle()
    assert told == {entry.key.name: entry.value[1:] for entry in collection.entries()}
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


def _take(collection: Collection[str], gate: asyncio.Event, step: _Step, revision: int) -> None:
    what, name = step
    key = ObjectKey("", name)
    match what:
        case "put":
            present = collection.get(key)
            uid = present.uid if present else f"{name}-{revision}"
            collection.put(Entry(key, uid, revision, f"{name}{revision:03}"))
        case "remove":
            collection.remove(key, revision)
        case "read":
            gate.set()
        case _:
            gate.clear()
