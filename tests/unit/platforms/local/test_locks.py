"""Locks that end with the process that holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from akri.platforms.local.locks import Lock, LockHeldError, holder

HOLD = """
import sys
from pathlib import Path
from akri.platforms.local.locks import Lock
lock = Lock.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_is_one_s_until_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "nodes/a/lock"
    assert holder(path) is None
    with Lock.take(path) as lock:
        assert holder(path) == os.getpid()
        with pytest.raises(LockHeldError, match=f"lock is held by process {os.getpid()}") as caught:
            Lock.take(path)
        assert caught.value.pid == os.getpid()
        assert holder(path) == os.getpid()
    assert holder(path) is None
    lock.release()
    with Lock.take(path):
        assert holder(path) == os.getpid()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert holder(path) == process.pid
        with pytest.raises(LockHeldError, match=str(process.pid)):
            Lock.take(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder(path) is None
        Lock.take(path).release()


def test_a_program_that_is_started_does_not_inherit_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = Lock.take(path)
    with subprocess.Popen(["/bin/sleep", "60"], close_fds=False) as child:
        try:
            lock.release()
            # The kernel lets go of the file a moment after the program has begun.
            end = time.monotonic() + 30
            while holder(path) is not None and time.monotonic() < end:
                time.sleep(0.01)
            assert holder(path) is None
            assert child.poll() is None
        finally:
            child.kill()


def test_whoever_did_not_write_a_number_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock.take(path):
        path.write_text("rubbish")
        assert holder(path) == 0
        with pytest.raises(LockHeldError, match="held by another process"):
            Lock.take(path)
