"""Programs are found by the locks that they hold, and end when they are told to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from akri.clock import SystemClock
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import Lock, holder
from akri.platforms.local.programs import end_programs, programs

HOLD = """
import signal, sys
from pathlib import Path
from akri.platforms.local.locks import Lock
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
locks = [Lock.take(Path(path)) for path in sys.argv[1:] if path != "deaf"]
print("held", flush=True)
while True:
    signal.pause()
"""


@contextmanager
def holding(*arguments: str | Path) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", HOLD, *map(str, arguments)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


@contextmanager
def sleeping() -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_programs_are_found_asked_to_end_and_named(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    (tmp_path / "nodes/idle").mkdir(parents=True)
    nodes = tmp_path / "nodes"
    with holding(folder.controller_lock, nodes / "a/lock") as up, holding(nodes / "b/lock") as other:
        found = programs(folder)
        assert [(one.pid, one.controller, one.nodes) for one in found] == [(up.pid, True, ("a",)), (other.pid, False, ("b",))]
        assert await end_programs(folder, SystemClock(), 30.0) == [
            f"akri up (process {up.pid}) ended",
            f"akri node --name b (process {other.pid}) ended",
        ]
        assert programs(folder) == ()
    assert await end_programs(folder, SystemClock(), 30.0) == []


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with holding(folder.controller_lock, "deaf") as deaf:
        said = await end_programs(folder, SystemClock(), 0.3)
        assert said == [f"akri up (process {deaf.pid}) did not end when it was asked to and was killed"]
        assert deaf.wait() == -9


async def test_a_number_that_is_not_the_holder_s_is_not_signalled(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    with sleeping() as bystander, Lock.take(folder.controller_lock):
        folder.controller_lock.write_text(str(bystander.pid))
        assert await end_programs(folder, SystemClock(), 0.3) == [
            f"akri up (process {bystander.pid}) is still there: this user may not end it, or it is not visible from here"
        ]
        assert bystander.poll() is None
        assert holder(folder.controller_lock) == bystander.pid
