"""What a handler costs as a process of its own, which nodes have one of for each protocol: idle, and with 100 devices.

Idle: registered with an agent, asked nothing. With 100 devices: five Configurations of 20 devices each. Memory is resident memory, the
pages of shared libraries included; processor time is that of SECONDS in which nothing happens, in percent of one core.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from akri.testing.agent import FakeAgent
from benchmarks._harness import Case, main

__all__ = ["RUNS", "SECONDS", "measured"]

CONFIGURATIONS: Final = 5
DEVICES: Final = 20
SECONDS: Final = 5.0
_PATIENCE: Final = 30.0
_SETTLE: Final = 1.0
RUNS: Final = 5
_ECHO: Final = "debugEcho"


def _resident(pid: int) -> float:
    """Resident memory in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _processor(pid: int) -> float:
    """Processor time so far of all its threads, in seconds."""
    times = [int((thread / "schedstat").read_text("ascii").split()[0]) for thread in Path(f"/proc/{pid}/task").iterdir()]
    return sum(times) / 1e9


def _details(handler: str, number: int) -> str:
    if handler == _ECHO:
        return f"descriptions: [{', '.join(f'device-{number}-{device}' for device in range(DEVICES))}]"
    # Twenty of the terminals that each machine has, and that nothing happens to.
    return (
        f'udevRules: [\'SUBSYSTEM=="tty", KERNEL=="tty{number + 1}?"\', \'SUBSYSTEM=="tty", KERNEL=="tty{"[1-9]" if number else "6?"}"\']'
    )


async def measured(word: str, handler: str, *, asked: bool, metrics: bool = False) -> tuple[float, float]:
    """Run `akri-handler WORD`; answer its memory in MiB and the processor time of SECONDS in percent."""
    flags = ("--metrics-port", "18997") if metrics else ()
    command = (sys.executable, "-c", "from akri_handler.start import main; main()", word, *flags)
    async with FakeAgent() as agent, AsyncExitStack() as stack:
        process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "DISCOVERY_HANDLERS_DIRECTORY": str(agent.folder)})
        try:
            await agent.registered(handler, within=_PATIENCE)
            for number in range(CONFIGURATIONS if asked else 0):
                answers = await stack.enter_async_context(agent.asking(handler, _details(handler, number)))
                found = (await anext(answers)).devices
                if len(found) < DEVICES // 2:
                    raise AssertionError(f"only {len(found)} devices")
            await asyncio.sleep(_SETTLE)
            before = _processor(process.pid)
            await asyncio.sleep(SECONDS)
            return _resident(process.pid), (_processor(process.pid) - before) / SECONDS * 100
        finally:
            process.terminate()
            await process.wait()


def _case(name: str, arguments: str, figure: int, aim: float | None, runs: int) -> Case:
    program = f"import asyncio\nfrom benchmarks.handlers import measured\nprint(asyncio.run(measured({arguments}))[{figure}])\n"
    return Case(name, program, unit=("MiB", "%")[figure], aim=aim, runs=runs)


def _cases(situation: str, word: str, handler: str, more: str, memory_aim: float | None) -> Sequence[Case]:
    arguments = f"{word!r}, {handler!r}, {more}"
    return (
        _case(f"{word} {situation}, memory", arguments, 0, memory_aim, runs=RUNS),
        _case(f"{word} {situation}, processor", arguments, 1, 0.2 if situation == "idle" else None, runs=RUNS),
    )


if __name__ == "__main__":
    main(
        "handlers",
        [
            *_cases("idle", "debug-echo", _ECHO, "asked=False", 45),
            *_cases("idle", "udev", "udev", "asked=False", 45),
            *_cases("with 100 devices", "debug-echo", _ECHO, "asked=True", 45),
            *_cases("with 100 devices", "udev", "udev", "asked=True", 45),
            *_cases("with 100 devices and metrics", "udev", "udev", "asked=True, metrics=True", None),
        ],
    )
