"""How one broker ended, how often, and when it is tried again, as far as anybody says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from akri.cli.diagnosis.sight import TIMING, Sight
from akri.cli.diagnosis.words import ago, left, span, when
from akri.cli.text import count
from akri.core.reports import PastEvent, Reason
from akri.ports import ContainerState, PodDetails
from akri.scheduling.model import BrokerPod, Phase
from akri.scheduling.pods import retry_at

__all__ = ["BrokerEnds"]

_CRASH_LOOP: Final = "CrashLoopBackOff"
_ENDS: Final = frozenset({Reason.BROKER_FAILED, Reason.BROKER_BACK_OFF})
_FOLLOWED: Final = "a new one follows as attempt"
"""In what the controller says when it makes the next one; how the last one ended is told by its node."""
_AGAIN: Final = re.compile(r"(?P<ended>.*); it starts again(?: in (?P<seconds>[0-9]{1,6}) s)?.*", re.DOTALL)


@frozen
class BrokerEnds:
    """The ends of one broker pod; `details` is None where its node's view of it is not known."""

    pod: BrokerPod
    details: PodDetails | None
    sight: Sight

    @property
    def containers(self) -> tuple[ContainerState, ...]:
        """Its containers, as far as they are known."""
        return self.details.containers if self.details else ()

    @property
    def events(self) -> Iterator[PastEvent]:
        """What was told of it and of those before it, oldest first."""
        return iter(self.sight.events("Pod", self.pod.key))

    @property
    def troubled(self) -> bool:
        """Whether it ended, or ended before and is not well again for long."""
        pod, now = self.pod, self.sight.now
        if pod.deleting or not pod.uid:
            return False
        if pod.phase.terminal or self.reason == _CRASH_LOOP:
            return True
        well = pod.phase is Phase.RUNNING and now - pod.started >= TIMING.healthy
        if pod.attempt > 0 and not well:
            return True
        return any(_failing(one, now) for one in self.containers) or any(self._recent(past) for past in self.events)

    @property
    def reason(self) -> str:
        """The platform's word for its state."""
        return self.pod.reason or (self.details.reason if self.details else "")

    @property
    def failures(self) -> int:
        """How often it ended, as far as is known."""
        restarts = max((one.restarts for one in self.containers), default=0)
        told = sum(self._recent(past) for past in self.events)
        return max(self.pod.attempt + self.pod.phase.terminal + restarts, told)

    @property
    def texts(self) -> Sequence[str]:
        """What was said about its ends, the last word last."""
        told = [past.event.message for past in self.events if past.event.reason in _ENDS and _FOLLOWED not in past.event.message]
        return (*told, *([self.details.message] if self.details and self.details.message else []))

    def ended(self) -> str:
        """Say how it ended last, in the words of who knows best."""
        ends = [one for one in self.containers if one.exit_code is not None and (one.exit_code != 0 or self.pod.phase.terminal)]
        if ends:
            worst = next((one for one in ends if one.exit_code), ends[0])
            reason = f" ({worst.reason})" if worst.reason and worst.reason != "Completed" else ""
            return f"container {worst.name} ended with exit code {worst.exit_code}{reason}"
        last = next(reversed(self.texts), "")
        again = _AGAIN.fullmatch(last)
        return (again["ended"] if again else last) or self.pod.reason or f"it is {self.pod.phase.value}"

    def next(self) -> str:
        """Say when it is tried again, as the end of a sentence; "" where nobody knows."""
        due = retry_at(self.pod, TIMING) if self.pod.phase.terminal else self._restart_at()
        if not due:
            return ""
        rest = due - self.sight.now
        return f", the next attempt starts in {left(rest)}" if rest > 0 else ", the next attempt starts now"

    def history(self) -> Iterator[str]:
        """Give what shows it."""
        pod, now = self.pod, self.sight.now
        yield f"{pod.phase.value} on node {pod.node}" + (f" ({self.reason})" if self.reason else "")
        if pod.finished:
            ran = f" after {span(pod.finished - pod.started)}" if pod.started else " before it started"
            yield f"ended {when(pod.finished, now)}{ran}"
        if pod.phase.terminal or pod.attempt:
            wait = retry_at(pod, TIMING) - (pod.finished or pod.created)
            most, healthy = span(TIMING.back_off.most), span(TIMING.healthy)
            yield f"attempt {pod.attempt + 1}; back-off {span(wait)}, {most} at most, from anew after {healthy} without failure"
        yield from (_container(one, now) for one in self.containers if one.restarts or one.exit_code is not None)
        yield from (f"{when(past.at, now)}, {past.event.reason.value}: {past.event.message}" for past in list(self.events)[-3:])
        yield from (f"log: {line}" for line in self.sight.logs.get(pod.key, ())[-4:])

    def _restart_at(self) -> float:
        """When its node starts it again, by the last event that says so; 0 if none does."""
        last = next((past for past in reversed(list(self.events)) if past.event.reason is Reason.BROKER_BACK_OFF), None)
        again = _AGAIN.fullmatch(last.event.message) if last is not None and last.at and self.reason == _CRASH_LOOP else None
        return last.at + int(again["seconds"] or 0) if last is not None and again is not None else 0.0

    def _recent(self, past: PastEvent) -> bool:
        return past.event.reason is Reason.BROKER_BACK_OFF and self.sight.now - past.at < TIMING.healthy


def _failing(container: ContainerState, now: float) -> bool:
    if container.restarts == 0:
        return container.exit_code not in {None, 0} and not container.running
    return not (container.running and now - container.started >= TIMING.healthy)


def _container(one: ContainerState, now: float) -> str:
    exit_code = "" if one.exit_code is None else f", exit code {one.exit_code}"
    finished = f", ended {ago(one.finished, now)}" if one.finished else ""
    reason = f" ({one.reason})" if one.reason else ""
    return f"container {one.name}: {count(one.restarts, 'restart')}{exit_code}{finished}{reason}"
