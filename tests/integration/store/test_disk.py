"""Disks that take nothing more: what is asked is not done, and says so; what is there can be read; and afterwards all goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from akri.clock import SystemClock
from akri.core.errors import OutcomeUnknownError, StateError
from akri.core.ids import ObjectKey
from akri.core.reports import Event, Reason
from akri.core.usage import HeldByNode
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Done, Unknown
from tests.contract.driver import A, configuration, done, instance_of, slot
from tests.guards.tree import ROOT

EVENT = Event("Pod", ObjectKey("default", "x"), Reason.BROKER_FAILED, "lost")
LIMITED = """
import asyncio, resource, sys
from functools import partial
from pathlib import Path
from akri.clock import SystemClock
from akri.core.usage import HeldByNode
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Done, Unknown
from tests.contract.driver import A, configuration, done, instance_of, slot

async def main(folder):
    async with SqliteStore(folder, SystemClock()) as store:
        instance = done(await store.node(A).create(instance_of(await store.apply(configuration()))))
        size = (folder / "store.sqlite-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, resource.RLIM_INFINITY))
        claim = partial(store.node(A).claim, instance.key, slot(instance), HeldByNode(A))
        outcome = await claim()
        assert isinstance(outcome, Unknown), outcome
        assert await store.node(A).read_instance(instance.key) == instance == store.instance(instance.key)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        done(await claim())

asyncio.run(main(Path(sys.argv[1])))
"""


def mount(*arguments: str) -> None:
    """Call the program of this name."""
    subprocess.run(["mount", *arguments], check=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, for half a minute at most."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a thread wakes nobody
            await asyncio.sleep(0.01)


@contextmanager
def disk(folder: Path) -> Generator[Path]:
    """A small disk."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts disks")
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> None:
    """Take all room."""
    with pytest.raises(OSError, match="No space left"):
        (folder / "filling").write_bytes(b"x" * 10_000_000)


@pytest.mark.timeout(120)
async def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as small:
        state = small / "state"
        async with SqliteStore(state, SystemClock()) as store, SqliteStore(state, SystemClock()) as other:
            instance = done(await store.node(A).create(instance_of(await store.apply(configuration()))))
            fill(small)
            outcomes = [await store.node(A).claim(instance.key, slot(instance), HeldByNode(A)) for _ in range(100)]
            refused = [outcome for outcome in outcomes if isinstance(outcome, Unknown)]
            assert refused
            assert "disk is full" in refused[0].cause
            with suppress(OutcomeUnknownError):
                await store.apply(configuration("another", capacity=3))  # there may be room for it in the log, and never in a new file
            with pytest.raises(OutcomeUnknownError, match="No space left"):
                await store.put_secret(ObjectKey("default", "s"), {"a": b"x" * 100_000})
            store.emit(EVENT)
            assert await other.node(A).read_instance(instance.key) == await store.node(A).read_instance(instance.key)
            (small / "filling").unlink()
            await store.apply(configuration("another", capacity=3))
            await until((state / "applied" / "default.another.yaml").exists)
            freed = await store.node(A).read_instance(instance.key)
            assert freed is not None
            assert isinstance(await other.node(A).claim(instance.key, slot(instance, 1), HeldByNode(A)), Done)
            fill(small)
        async with SqliteStore(state, SystemClock()) as again:
            assert {one.key.name for one in again.configurations} == {"cam", "another"}
            assert len(again.instances) == 1


@pytest.mark.timeout(120)
async def test_a_new_store_on_a_full_disk_is_refused_and_made_later(tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as small:
        fill(small)
        with pytest.raises(StateError, match=r"full|No space left"):
            async with SqliteStore(small / "state", SystemClock()):
                pass
        (small / "filling").unlink()
        async with SqliteStore(small / "state", SystemClock()) as store:
            await store.apply(configuration())
        assert not list((small / "state").glob("*.damaged-*"))


@pytest.mark.timeout(120)
async def test_a_disk_that_is_read_only_is_named(tmp_path: Path) -> None:
    with disk(tmp_path / "disk") as small:
        async with SqliteStore(small / "state", SystemClock()) as store:
            stored = await store.apply(configuration())
        mount("-o", "remount,ro", str(small))
        with pytest.raises(StateError, match="Read-only file system"):
            async with SqliteStore(small / "state", SystemClock()):
                pass
        mount("-o", "remount,rw", str(small))
        async with SqliteStore(small / "state", SystemClock()) as store:
            assert store.configurations == (stored,)


@pytest.mark.timeout(120)
async def test_writes_that_fail_change_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "state")]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert await asyncio.wait_for(process.wait(), 100) == 0
    assert not list((tmp_path / "state").glob("*.damaged-*"))
