"""The life of one container in its pod: started or found running, watched, and started again as its restart policy has it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, assert_never

from attrs import frozen

from akri.clock import wait_for_either
from akri.platforms.local.container_records import ContainerState, Ended, Lost, NeverStarted, ProcessIdentity, Started
from akri.platforms.local.host_processes import boot_id
from akri.platforms.local.logs import Lines, Tail
from akri.platforms.local.restarts import RestartPolicy, after_end
from akri.platforms.local.runtimes import ImageStart
from akri.platforms.local.supervised import Launch, RunningAlreadyError, Supervised
from akri.ports import Clock

__all__ = ["ContainerPlan", "ContainerRun", "Outcome", "end_gracefully"]

_LISTEN_EVERY: Final = 0.1
_LISTEN_AT_LEAST: Final = 0.5
_KILLED: Final = 137
_CANNOT_START: Final = 126
_SIGNALS: Final = frozenset(signal.Signals)


@frozen
class Outcome:
    """How a container's process ended: its exit code, and the same in words."""

    code: int
    words: str


@frozen
class ContainerPlan:
    """What a container's life depends on. folder: its own, in the record of its pod.

    prepares: it runs before others and is run again after the machine was restarted, though it had ended. start: how it is
    started, asked each time; raises InvalidValueError where it cannot run. line: gets each line that it writes, None if nobody wants
    them. waiting: told that it ended and will be started again in so many seconds, and (None) that it was.
    """

    name: str
    folder: Path
    log: Path
    policy: RestartPolicy
    clock: Clock
    start: Callable[[], ImageStart]
    waiting: Callable[[Outcome | None, float], None]
    line: Callable[[str], None] | None = None
    prepares: bool = False


class ContainerRun:
    """One container, from its start or from where a former program left it."""

    def __init__(self, plan: ContainerPlan) -> None:
        """Nothing happens before `live`."""
        self.plan = plan
        self.child: Final = Supervised(plan.folder)
        self.up: Final = asyncio.Event()
        self._retired: Final = asyncio.Event()
        self._attempt = 0
        self._restarts = 0
        self._ran: float | None = None
        self._tail: Tail | None = None
        self._launching: asyncio.Future[None] | None = None

    async def live(self) -> Outcome:
        """Run it until it has ended for good; return its last end. Raises InvalidValueError, OSError where it cannot be started.

        When this is cancelled, the process goes on; `retire` before anything is done to it.
        """
        outcome = None if self._found() else await self._start()
        while True:
            if outcome is None:
                outcome = await self._until_end()
            again = after_end(self.plan.policy, code=outcome.code, attempt=self._attempt, ran=self._ran)
            if again is None or self._retired.is_set():
                return outcome
            await self._back_off(outcome, again.delay)
            if self._retired.is_set():
                return outcome
            self._attempt, self._restarts = again.attempt, self._restarts + 1
            outcome = await self._start()

    async def retire(self) -> None:
        """Start it no more. Returns when a start that is under way, also one of a `live` that was cancelled, has come to its end."""
        self._retired.set()
        if self._launching is not None:
            await asyncio.wait({self._launching})

    def _found(self) -> bool:
        state = self.child.look()
        return not isinstance(state, NeverStarted) and not (self.plan.prepares and _of_former_boot(state))

    async def _start(self) -> Outcome | None:
        """Start it; an outcome tells that the machine refused for now."""
        start = self.plan.start()
        self._ran = None
        launch = Launch(start.command, self.plan.log, self._attempt, self._restarts, start.environment_file, start.removal)
        self._launching = asyncio.ensure_future(self.child.start(launch))
        self._launching.add_done_callback(_take_note)
        self._tail = self._new_tail()
        try:
            await asyncio.shield(self._launching)
        except RunningAlreadyError:
            return None
        except BaseException as error:
            self._close_tail()
            if self.plan.policy is RestartPolicy.NEVER or not isinstance(error, OSError):
                raise
            return Outcome(_CANNOT_START, f"cannot be started: {error}")
        self.plan.waiting(None, 0.0)
        return None

    async def _until_end(self) -> Outcome:
        self.up.set()
        self._tail = self._tail or self._new_tail()
        listener = None if self._tail is None else asyncio.create_task(self._listen(self._tail))
        try:
            state = await self.child.wait()
        finally:
            # Without a wait in between, which another cancellation could end: the file is closed in any case.
            if listener is not None:
                listener.cancel()
            self._close_tail()
        await self.child.clean_up()
        return self._account(state)

    def _new_tail(self) -> Tail | None:
        line = self.plan.line
        return None if line is None else Tail(self.plan.log, Lines(line))

    def _close_tail(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    async def _listen(self, tail: Tail) -> None:
        pause = _LISTEN_EVERY
        while True:
            pause = _LISTEN_EVERY if tail.read() else min(pause * 1.5, _LISTEN_AT_LEAST)
            await self.plan.clock.sleep(pause)

    def _account(self, state: Ended | Lost | NeverStarted) -> Outcome:
        match state:
            case Ended(code, started=started, ran=ran):
                self._count(started, ran)
                unrecorded = "was not started, for that could not be written down: is the disk full?"
                return Outcome(code, _words(code) if started else unrecorded)
            case Lost(started=started):
                self._count(started, None)
                why = "its supervisor was killed" if started.process.boot == boot_id() else "the machine was restarted"
                return Outcome(_KILLED, f"was lost: {why}")
            case NeverStarted():
                return Outcome(_CANNOT_START, "was not started: its supervisor was killed")
        assert_never(state)

    def _count(self, started: Started | None, ran: float | None) -> None:
        self._ran = ran
        if started is not None:
            self._attempt, self._restarts = started.attempt, started.restarts

    async def _back_off(self, outcome: Outcome, delay: float) -> None:
        """Wait, counted from the end, which may be a while ago. Whatever the clock did meanwhile, it is not longer than `delay`."""
        ended_at = self.child.ended_at()
        left = delay if ended_at is None else min(max(ended_at + delay - self.plan.clock.wall(), 0.0), delay)
        self.plan.waiting(outcome, left)
        await wait_for_either(self.plan.clock, left, self._retired)


async def end_gracefully(runs: Iterable[ContainerRun], grace: float, clock: Clock) -> float:
    """Ask containers to end, and kill what is left after `grace` seconds with all that they started; return what is left of the grace."""
    children = [run.child for run in runs]
    begun = clock.now()
    await asyncio.gather(*(child.terminate() for child in children))
    over = asyncio.create_task(_all_ended(children))
    timer = asyncio.create_task(clock.sleep(grace))
    try:
        await asyncio.wait({over, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        over.cancel()
        timer.cancel()
        await asyncio.wait({over, timer})
    await asyncio.gather(*(child.kill() for child in children))
    return max(grace - (clock.now() - begun), 0.0)


async def _all_ended(children: Iterable[Supervised]) -> None:
    for child in children:
        await child.wait()


def _take_note(launching: asyncio.Future[None]) -> None:
    """Look at a failure that nobody waits for any more."""
    if not launching.cancelled():
        launching.exception()


def _of_former_boot(state: ContainerState) -> bool:
    match state:
        case Ended(started=Started(process=ProcessIdentity(boot=boot))) | Lost(started=Started(process=ProcessIdentity(boot=boot))):
            return boot != boot_id()
        case _:
            return False


def _words(code: int) -> str:
    number = code - 128
    if number in _SIGNALS:
        return f"ended with exit code {code} ({signal.Signals(number).name})"
    return f"ended with exit code {code}"
