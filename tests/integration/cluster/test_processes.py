"""Processes of the test cluster: ended as asked, found again by a later run, and never mistaken for others."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.processes import Process, ProcessError, end_left, eventually, marked

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(100)"


@pytest_asyncio.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path
    await end_left(tmp_path)


def process(state: Path, *argv: str, name: str = "one") -> Process:
    return Process(name, argv or ("sleep", "100"), state=state)


async def always() -> bool:
    return True


async def never() -> bool:
    return False


async def test_process_runs_until_stopped_and_can_be_started_again(state: Path) -> None:
    one = process(state)
    assert (one.alive, one.pid) == (False, None)
    for _ in range(2):
        one.start()
        assert one.alive
        assert marked(state) == [one.pid]
        await one.stop()
        assert (one.alive, one.pid, marked(state)) == (False, None, [])


async def test_process_cannot_be_started_twice(state: Path) -> None:
    one = process(state)
    one.start()
    with pytest.raises(ProcessError, match="one runs already"):
        one.start()


async def test_process_that_ends_at_once_has_ended(state: Path) -> None:
    for _ in range(50):  # now and then before anybody could look at it
        one = process(state, "true")
        one.start()
        assert await one.ended(5)
        assert not any((state / "processes").iterdir())


async def test_program_that_does_not_exist_is_an_error(state: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process(state, "no-such-program").start()


async def test_process_deaf_to_sigterm_is_killed_after_the_grace(state: Path) -> None:
    one = process(state, sys.executable, "-c", STUBBORN)
    one.start()
    await eventually(lambda: says(one, "deaf"), seconds=30, what="the process to be deaf")
    await one.stop(0.2)
    assert not one.alive


async def says(one: Process, text: str) -> bool:
    return text in one.tail()


async def test_paused_process_is_alive_and_can_be_stopped(state: Path) -> None:
    one = process(state)
    one.start()
    one.pause()
    await eventually(lambda: in_state(one, "T"), seconds=30, what="the process to pause")
    assert one.alive
    one.resume()
    await eventually(lambda: in_state(one, "S"), seconds=30, what="the process to go on")
    one.pause()
    await one.stop(5)
    assert not one.alive


async def in_state(one: Process, letter: str) -> bool:
    return letter_of(one) == letter


def letter_of(one: Process) -> str:
    return Path(f"/proc/{one.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


async def test_children_end_with_their_process(state: Path) -> None:
    one = process(state, "sh", "-c", "sleep 100 & sleep 100")
    one.start()
    await eventually(lambda: count(state, 3), seconds=30, what="two children")
    await one.kill()
    await eventually(lambda: count(state, 0), seconds=30, what="the children to end")
    assert marked(state) == []


async def count(state: Path, number: int) -> bool:
    return len(marked(state)) == number


async def test_later_run_takes_a_process_over(state: Path) -> None:
    process(state).start()
    later = process(state, "another", "command")
    assert later.alive
    await later.stop()
    assert marked(state) == []


async def test_record_of_another_program_of_the_same_id_is_not_believed(state: Path) -> None:
    one = process(state)
    one.start()
    record = state / "processes" / "one"
    content = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**content, "started": content["started"] - 1}), encoding="utf-8")
    assert not process(state).alive
    assert one.alive


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 1}'])
async def test_damaged_record_means_that_nothing_runs(state: Path, content: str) -> None:
    (state / "processes").mkdir()
    (state / "processes" / "one").write_text(content, encoding="utf-8")
    assert not process(state).alive


async def test_everything_started_for_a_folder_is_ended_without_records(state: Path) -> None:
    inner, outer = state / "inner", state.with_name(f"{state.name}-other")
    await start_all([process(state, name="one"), process(inner, "sh", "-c", "setsid sleep 100 & wait"), process(outer)])
    (state / "processes" / "one").unlink()
    await eventually(lambda: count(state, 3), seconds=30, what="three processes of the folder and one inside it")
    assert await end_left(state) == 3
    assert marked(state) == []
    assert len(marked(outer)) == 1
    assert await end_left(outer) == 1


async def start_all(processes: Sequence[Process]) -> None:
    for each in processes:
        each.start()


async def test_end_during_start_tells_the_end_of_the_log(state: Path) -> None:
    one = process(state, "sh", "-c", "echo first; echo port is taken >&2; exit 3")
    one.start()
    with pytest.raises(ProcessError, match=r"one ended while it was starting.*\n(?s:.*)port is taken"):
        await one.ready(never, seconds=10)


async def test_start_that_takes_too_long_tells_the_end_of_the_log(state: Path) -> None:
    one = process(state, "sh", "-c", "echo thinking; sleep 100")
    one.start()
    await eventually(lambda: says(one, "thinking"), seconds=30, what="a word")
    with pytest.raises(ProcessError, match=r"waited 0.1 s for one to be ready(?s:.*)thinking"):
        await one.ready(never, seconds=0.1)
    await one.ready(always, seconds=0.1)


async def test_signals_ignored_here_are_not_ignored_there(state: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        one = process(state)
        one.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    one.signal(signal.SIGHUP)
    assert await one.ended(5)
