"""Rings between processes, and the gate before the file."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from akri.platforms.local.sqlite.bell import Bell
from akri.platforms.local.sqlite.gate import Gate, GateClosedError


def rung(bell: Bell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_all_others_hear_a_ring_and_one_that_rings_does_not(tmp_path: Path) -> None:
    bells = [Bell(tmp_path / "notify") for _ in range(3)]
    bells[0].ring()
    assert [rung(bell) for bell in bells] == [False, True, True]
    for bell in bells[1:]:
        bell.hear()
        assert not rung(bell)
    for bell in bells:
        bell.close()
    assert list((tmp_path / "notify").iterdir()) == []


def test_one_that_does_not_listen_keeps_nobody_waiting(tmp_path: Path) -> None:
    one, deaf = Bell(tmp_path), Bell(tmp_path)
    for _ in range(5000):
        one.ring()
    while rung(deaf):
        deaf.hear()
    one.close()
    deaf.close()


def test_the_dead_are_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(tmp_path / "dead"))
    dead.close()
    one, two = Bell(tmp_path), Bell(tmp_path)
    one.ring()
    assert rung(two)
    assert len(list(tmp_path.iterdir())) == 2
    one.close()
    two.close()


def test_many_are_inside_together_and_one_alone(tmp_path: Path) -> None:
    one, two = Gate(tmp_path / "lock", 0.05), Gate(tmp_path / "lock", 0.05)
    with one.pass_through(), two.pass_through():
        pass
    with ExitStack() as inside:
        inside.enter_context(one.pass_through())
        with pytest.raises(GateClosedError), two.alone():
            pass
    with one.alone():
        for way in (two.pass_through, two.alone):
            with pytest.raises(GateClosedError), way():
                pass
    with two.alone():
        pass
    one.close()
    two.close()


def test_a_process_that_dies_inside_opens_the_gate(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from akri.platforms.local.sqlite.gate import Gate\n"
        "with Gate(Path(sys.argv[1])).alone(): os._exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", program, tmp_path / "lock"], check=False, timeout=60).returncode == 3
    gate = Gate(tmp_path / "lock")
    with gate.alone():
        pass
    gate.close()
