"""The supervisor alone: what it records, and that nothing gets away from it, with no other program at work."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from akri.platforms.local import supervised
from akri.platforms.local.container_records import Alive, Ended, Lost, NeverStarted, ProcessIdentity, parse_supervisor
from akri.platforms.local.host_processes import boot_id, end_marked, send_signal
from akri.platforms.local.logs import MAXIMUM_LOG, begin_log
from akri.platforms.local.processes import Command
from akri.platforms.local.supervised import Launch, RunningAlreadyError, Supervised
from tests.integration.processes.station import LIMIT, alive, eventually, gone, marked

SHELLS = [shell for shell in ("sh", "dash", "bash --posix", "busybox sh") if shutil.which(shell.split()[0])]
ESCAPES = {
    "in the background": "sleep 1000 & ",
    "in a session of its own": "setsid sleep 1000 & ",
    "by a double fork": "(setsid sleep 1000 & exec true) ",
    "without environment": "(env -i setsid sleep 1000 & exec true) ",
    "without descriptors": "(setsid sleep 1000 <&- >&- 2>&- & exec true) ",
    "with signals ignored": "(trap '' TERM INT HUP QUIT; setsid sleep 1000 & exec true) ",
    "forking on": "(setsid sh -c 'while :; do sleep 0.1 & sleep 0.05; done' & exec true) ",
}


class Container:
    """One container in a folder of its own."""

    def __init__(self, folder: Path, shell: str = "/bin/sh") -> None:
        self.child = Supervised(folder / "brokers" / "uid" / "main", shell)
        self.log = folder / "logs" / "a.log"
        begin_log(self.log)

    async def start(
        self, script: str, environment: Mapping[str, str] | None = None, log: Path | None = None, folder: Path | None = None
    ) -> None:
        given = {"PATH": os.environ["PATH"], **(environment or {})}
        command = Command("spec", ("/bin/sh", "-c", script), given, str(folder or ""))
        await self.child.start(Launch(command, log or self.log))

    async def end(self) -> Ended | Lost | NeverStarted:
        async with asyncio.timeout(LIMIT):
            return await self.child.wait()

    async def pid(self) -> int:
        """The command's process id, once it runs."""
        await eventually(lambda: isinstance(state := self.child.look(), Alive) and state.started is not None)
        state = self.child.look()
        assert isinstance(state, Alive)
        assert state.started is not None
        return state.started.process.pid

    def supervisor(self) -> int:
        """The supervisor's process id, also when it has ended."""
        process = parse_supervisor((self.child.folder / "supervisor").read_text(encoding="utf-8"))
        assert process is not None
        return process.pid


@pytest.mark.parametrize("shell", SHELLS)
async def test_output_exit_codes_and_signals_are_recorded_under_every_shell(tmp_path: Path, shell: str) -> None:
    assert shutil.which(shell.split(maxsplit=1)[0])
    container = Container(tmp_path, shell)
    assert container.child.look() == NeverStarted()
    for script, code in (("echo out; echo err >&2; exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("true", 0)):
        await container.start(script)
        end = await container.end()
        assert isinstance(end, Ended)
        assert (end.code, end.clean) == (code, True)
        assert end.ran is not None
    assert container.log.read_text(encoding="utf-8") == "out\nerr\n"
    assert marked(tmp_path) == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("way", ESCAPES)
async def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path, shell: str, way: str) -> None:
    container = Container(tmp_path, shell)
    await container.start(f"{ESCAPES[way]}\nsleep 0.1; exit 3")
    supervisor = container.supervisor()
    end = await container.end()
    assert isinstance(end, Ended)
    assert (end.code, end.clean) == (3, True)
    assert not alive(supervisor)
    assert marked(tmp_path) == []
    assert descendants(supervisor) == set()


async def test_a_kernel_that_lists_no_children_has_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "supervisor.sh"
    text = Path(supervised.__file__).with_name("supervisor.sh").read_text(encoding="utf-8")
    assert text.count("/children") == 2
    script.write_text(text.replace("/children", "/no-such-file"), encoding="utf-8")
    monkeypatch.setattr(supervised, "_SUPERVISOR", script)
    container = Container(tmp_path)
    await container.start("".join(f"{way}\n" for way in ESCAPES.values()) + "sleep 0.1; exit 3")
    supervisor = container.supervisor()
    end = await container.end()
    assert isinstance(end, Ended)
    assert (end.code, end.clean) == (3, True)
    assert (marked(tmp_path), descendants(supervisor)) == ([], set())


@pytest.mark.parametrize("way", ESCAPES)
async def test_what_a_killed_supervisor_leaves_behind_is_found(tmp_path: Path, way: str) -> None:
    container = Container(tmp_path)
    await container.start(f"{ESCAPES[way]}\nexec sleep 1000")
    pid = await container.pid()
    await asyncio.sleep(0.2)
    everything = descendants(container.supervisor())
    os.kill(container.supervisor(), signal.SIGKILL)
    assert isinstance(await container.end(), Lost)
    assert alive(pid)
    assert await container.child.clean_up() == frozenset()
    await gone(pid)
    assert marked(tmp_path) == []
    assert [one for one in everything if alive(one)] == []


async def test_killing_ends_what_ignores_signals_and_all_that_it_started(tmp_path: Path) -> None:
    container = Container(tmp_path)
    newline = "\n"
    await container.start(f"trap '' TERM INT HUP; {newline.join(ESCAPES.values())}\necho up; while :; do sleep 0.05; done")
    pid = await container.pid()
    await eventually(lambda: container.log.read_bytes() == b"up\n")
    everything = descendants(container.supervisor())
    await container.child.terminate()
    await asyncio.sleep(0.2)
    assert alive(pid)
    assert await container.child.kill() == frozenset()
    assert [one for one in everything if alive(one)] == []
    assert marked(tmp_path) == []


async def test_a_supervisor_that_hangs_does_not_keep_anything_alive(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("exec sleep 1000")
    pid = await container.pid()
    os.kill(container.supervisor(), signal.SIGSTOP)
    assert await container.child.kill() == frozenset()
    await gone(pid)
    assert not isinstance(container.child.look(), Alive)
    assert marked(tmp_path) == []


async def test_a_command_may_kill_its_own_group_and_only_that(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("echo before; sleep 1000 & kill -9 0")
    end = await container.end()
    assert isinstance(end, Ended)
    assert (end.code, end.clean) == (137, True)
    assert container.log.read_text(encoding="utf-8") == "before\n"


async def test_signals_to_the_supervisor_change_nothing_for_the_command(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("trap 'exit 5' INT; echo up; while :; do sleep 0.02; done")
    await eventually(lambda: container.log.read_bytes() == b"up\n")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
        os.kill(container.supervisor(), number)
    await asyncio.sleep(0.2)
    os.kill(await container.pid(), signal.SIGINT)
    end = await container.end()
    assert isinstance(end, Ended)
    assert end.code == 5


async def test_a_container_is_never_started_twice(tmp_path: Path) -> None:
    other, container = Container(tmp_path), Container(tmp_path)
    await container.start("echo up; exec sleep 1000")
    pid = await container.pid()
    await eventually(lambda: container.log.read_bytes() == b"up\n")
    with pytest.raises(RunningAlreadyError):
        await other.start("echo second")
    assert await other.pid() == pid
    await asyncio.gather(*(one.child.kill() for one in (container, other)))
    results = await asyncio.gather(*(container.start("echo up; exec sleep 1000") for _ in range(6)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType"] + ["RunningAlreadyError"] * 5
    await eventually(lambda: container.log.read_bytes() == b"up\nup\n")
    await container.child.kill()
    assert container.log.read_bytes() == b"up\nup\n"


async def test_an_environment_arrives_as_it_is(tmp_path: Path) -> None:
    given = {
        "QUOTES": 'it\'s "$HOME" `x`\\',
        "LINES": "a\nb\n",
        "resolution-width": "7 8",
        "UID": "none",
        "OPTIND": "x",
        "EMPTY": "",
        "\u00e4": "\u20ac",
    }
    container = Container(tmp_path)
    await container.child.start(Launch(Command("spec", ("env", "-0"), {"PATH": os.environ["PATH"], **given}), container.log))
    await container.end()
    seen = dict(item.split("=", 1) for item in container.log.read_text(encoding="utf-8").rstrip("\0").split("\0"))
    assert seen.pop("AKRI_CONTAINER") == str(container.child.folder)
    assert {name: value for name, value in seen.items() if name not in {"PATH", "PWD", "OLDPWD", "SHLVL", "_"}} == given


async def test_a_command_treats_all_signals_as_usual(tmp_path: Path) -> None:
    former = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGUSR1, signal.SIGHUP)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        container = Container(tmp_path)
        await container.child.start(
            Launch(Command("spec", ("grep", "^Sig[BI]", "/proc/self/status"), {"PATH": os.environ["PATH"]}), container.log)
        )
        await container.end()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in former.items():
            signal.signal(number, handler)
    assert container.log.read_text(encoding="utf-8").split() == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16]


async def test_a_command_has_the_three_usual_descriptors_and_no_others(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("exec ls /proc/self/fd")
    await container.end()
    assert container.log.read_text(encoding="utf-8").split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


async def test_a_log_is_bounded_while_nobody_looks_and_keeps_the_end(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("head -c 5000000 /dev/urandom; i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); echo $i; done; printf 'the end'")
    await container.end()
    older = container.log.with_name("a.log.1")
    assert sorted(path.name for path in container.log.parent.iterdir()) == ["a.log", "a.log.1"]
    assert max(path.stat().st_size for path in (container.log, older)) <= MAXIMUM_LOG
    assert {path.stat().st_mode & 0o777 for path in (container.log, older)} == {0o600}
    assert (older.read_bytes() + container.log.read_bytes()).endswith(b"\n29999\n30000\nthe end")


async def test_a_log_that_cannot_be_written_stops_no_command(tmp_path: Path) -> None:
    container = Container(tmp_path)
    for log in (tmp_path, tmp_path / "no" / "such" / "folder.log"):
        await container.start("head -c 3000000 /dev/zero; exit 4", log=log)
        end = await container.end()
        assert isinstance(end, Ended)
        assert (end.code, end.clean) == (4, True)


async def test_an_end_is_not_held_up_by_somebody_who_has_the_output(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("echo up; exec sleep 1000")
    pid = await container.pid()
    await eventually(lambda: container.log.read_bytes() == b"up\n")
    with await asyncio.to_thread(Path(f"/proc/{pid}/fd/1").open, "wb"):
        os.kill(pid, signal.SIGTERM)
        end = await container.end()
        assert isinstance(end, Ended)
        assert (end.code, end.clean) == (143, True)


async def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("exec sleep 1000")
    pid = await container.pid()
    state = container.child.look()
    assert isinstance(state, Alive)
    assert state.started is not None
    began = state.started.process.began
    strangers = (ProcessIdentity(pid, began + 1, boot_id()), ProcessIdentity(pid, began, "another boot"))
    assert [send_signal(stranger, signal.SIGKILL) for stranger in strangers] == [False, False]
    assert end_marked(tmp_path / "other", strangers, seconds=0.2) == frozenset()
    assert alive(pid)
    assert end_marked(tmp_path / "broker", seconds=0.2) == frozenset()
    assert alive(pid)
    assert end_marked(tmp_path) == frozenset()
    await gone(pid)


def descendants(pid: int) -> set[int]:
    """Ids of all processes below one, itself left out."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


async def test_what_ended_or_was_lost_with_a_former_boot_is_known(tmp_path: Path) -> None:
    container = Container(tmp_path)
    await container.start("exec sleep 1000")
    pid = await container.pid()
    await container.child.kill()
    started, ended = container.child.folder / "started", container.child.folder / "ended"
    started.write_text(started.read_text(encoding="utf-8").replace(boot_id(), "another-boot"), encoding="utf-8")
    assert isinstance(container.child.look(), Ended)
    ended.write_text("-\n", encoding="utf-8")
    state = container.child.look()
    assert isinstance(state, Lost)
    assert state.started.process.pid == pid
    assert await container.child.clean_up() == frozenset()


async def test_a_full_disk_starts_nothing_and_swallows_no_exit_code(small_disk: Path) -> None:
    container = Container(small_disk)
    await container.start("echo up; while :; do [ ! -e go ] || exit 5; sleep 0.02; done", folder=small_disk)
    await eventually(lambda: container.log.read_bytes() == b"up\n")
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "more").write_bytes(b"x" * 8192)
    other = Supervised(small_disk / "brokers" / "uid" / "other")
    with pytest.raises(OSError, match="No space left"):
        await other.start(Launch(Command("spec", ("echo", "never"), {"PATH": os.environ["PATH"]}), container.log))
    assert isinstance(other.look(), NeverStarted)
    os.kill(await container.pid(), signal.SIGKILL)
    end = await container.end()
    assert isinstance(end, Ended)
    assert (end.code, end.clean) == (137, True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 200 KiB."""
    if os.geteuid() != 0:
        pytest.skip("a small file system is mounted by root alone")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "small", str(folder)], check=True, timeout=30)
    try:
        yield folder
    finally:
        end_marked(folder)
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def fill(folder: Path) -> None:
    """Leave no room on the disk of a folder."""
    with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


async def test_a_launcher_that_hangs_is_a_start_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = tmp_path / "launcher.py"
    launcher.write_text("import time\ntime.sleep(3600)\n", encoding="utf-8")
    monkeypatch.setattr(supervised, "_LAUNCHER", launcher)
    monkeypatch.setattr(supervised, "_LAUNCH_PATIENCE", 0.2)
    with pytest.raises(OSError, match=r"its supervisor did not start within 0\.2 s"):
        await Container(tmp_path).start("exec sleep 60")
