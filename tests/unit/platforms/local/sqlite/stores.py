"""A store in a folder, and what one does to its files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from akri.clock import SystemClock
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.reports import Event, Reason
from akri.platforms.local import documents
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Clock
from tests.contract.driver import A, configuration, done, instance_of

__all__ = ["INSTANCE", "KEY", "LONG", "delete", "event", "opened", "set_aside", "spoil", "until", "with_instance", "write_broker"]

KEY: Final = ObjectKey("default", "cam")
INSTANCE: Final = ObjectKey("default", "cam-8120fe")
LONG: Final = 30.0


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


def write_broker(folder: Path, instance: Instance) -> None:
    record = folder / "brokers" / "uid-of-a-pod" / "pod.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"version": 1, "pod": {}, "instance": documents.INSTANCE.write(instance)}), encoding="utf-8")
    (folder / "brokers" / "half").mkdir()
    (folder / "brokers" / "half" / "pod.json").write_text('{"version": 1, "po', encoding="utf-8")


def spoil(folder: Path) -> None:
    """Write over everything that the file and its log hold."""
    for path in (folder / "store.sqlite", folder / "store.sqlite-wal"):
        path.write_bytes(b"x" * path.stat().st_size)


def delete(folder: Path) -> None:
    """Delete the file, its log and its index."""
    for path in folder.glob("store.sqlite*"):
        path.unlink()
