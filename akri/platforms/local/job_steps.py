"""What a job needs next, decided from its spec and its pods: what the job controller of Kubernetes does, for NonIndexed jobs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from akri.core.ids import ObjectKey
from akri.platforms.local.objects import Job, Pod
from akri.platforms.local.pod_check import refused_job_fields
from akri.platforms.local.pod_spec import deadline_seconds, whole_number
from akri.scheduling.model import Phase

__all__ = ["EndPods", "Finish", "Rest", "StartPod", "Step", "next_step"]

_BACKOFF_LIMIT: Final = 6
_FIRST_DELAY: Final = 10.0
_LONGEST_DELAY: Final = 360.0
_NOT_ADMITTED: Final = frozenset({"UnexpectedAdmissionError"})


@frozen
class StartPod:
    """Make another pod; `number` makes its name."""

    number: int


@frozen
class EndPods:
    """Ask for the end of these pods: the job is over or suspended, or has too many of them."""

    keys: tuple[ObjectKey, ...]


@frozen
class Finish:
    """The job is over; `reason` is empty if it is complete, `message` may say more."""

    reason: str = ""
    message: str = ""


@frozen
class Rest:
    """Nothing to do, for so many seconds or (None) until something changes."""

    seconds: float | None = None


Step: TypeAlias = StartPod | EndPods | Finish | Rest
"""What a job needs next."""


@frozen
class _Pods:
    """The pods of a job, sorted by what became of them. One whose end was asked for is active until then."""

    all: tuple[Pod, ...]

    @property
    def succeeded(self) -> int:
        return sum(pod.phase is Phase.SUCCEEDED for pod in self.all)

    @property
    def failed(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.all if pod.phase is Phase.FAILED)

    @property
    def active(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.all if not pod.phase.terminal)

    def end(self, keep: int = 0) -> EndPods | None:
        """Ask for the end of all active pods but the oldest `keep`; None if that was asked already, or if there are none."""
        surplus = sorted(self.active, key=lambda pod: pod.metadata.created)[keep:]
        keys = tuple(pod.metadata.key for pod in surplus if not pod.metadata.deleting)
        return EndPods(keys) if keys else None


def next_step(job: Job, pods: Iterable[Pod], now: float) -> Step:
    """Decide what a job needs, from its pods; now is in seconds since the epoch.

    The wait after the first failure is 10 s, then twice as long each time, at most 6 min, as with Kubernetes.
    """
    own = _Pods(tuple(pods))
    if job.complete or job.failed or job.spec.get("suspend") is True:
        return own.end() or Rest()
    over = _over(job, own, now)
    if over is not None:
        return over
    wanted = _wanted(job, own)
    if len(own.active) >= wanted:
        return own.end(keep=wanted) or _rest(job, now)
    due = _due(own)
    return _rest(job, now, due) if due > now else StartPod(_number(job, own.all))


def _over(job: Job, pods: _Pods, now: float) -> Finish | None:
    refused = refused_job_fields(job.spec)
    if refused:
        return Finish("SpecRefused", "; ".join(f"spec.{problem}" for problem in refused))
    completions = _completions(job)
    if pods.succeeded >= completions if completions is not None else pods.succeeded and not pods.active:
        return Finish()
    if len(pods.failed) > whole_number(job.spec.get("backoffLimit"), _BACKOFF_LIMIT):
        return Finish(_why_failed(pods.failed), "; ".join(sorted({pod.message for pod in pods.failed if pod.message})))
    deadline = deadline_seconds(job.spec)
    if deadline is not None and now >= job.metadata.created + deadline:
        return Finish("DeadlineExceeded", f"it was active for more than {deadline:g} s")
    return None


def _wanted(job: Job, pods: _Pods) -> int:
    """How many pods should be active. Without `completions`, none is added once one has succeeded."""
    parallelism = whole_number(job.spec.get("parallelism"), 1)
    completions = _completions(job)
    if completions is not None:
        return min(parallelism, completions - pods.succeeded)
    return min(parallelism, len(pods.active)) if pods.succeeded else parallelism


def _completions(job: Job) -> int | None:
    """How many pods have to succeed; None: one, and all others have to end."""
    if job.spec.get("completions") is None:
        return 1 if job.spec.get("parallelism") is None else None
    return whole_number(job.spec.get("completions"), 1)


def _due(pods: _Pods) -> float:
    """When the next pod may start: after the last failure, by how many there were since the last success."""
    success = max((pod.finished for pod in pods.all if pod.phase is Phase.SUCCEEDED), default=0.0)
    failures = [pod.finished for pod in pods.failed if pod.finished >= success]
    if not failures:
        return 0.0
    return max(failures) + min(_FIRST_DELAY * 2.0 ** min(len(failures) - 1, 10), _LONGEST_DELAY)


def _rest(job: Job, now: float, due: float | None = None) -> Rest:
    deadline = deadline_seconds(job.spec)
    times = [time for time in (due, None if deadline is None else job.metadata.created + deadline) if time is not None]
    return Rest(min(times) - now) if times else Rest()


def _number(job: Job, pods: Sequence[Pod]) -> int:
    """A number that makes a name which none of the pods has."""
    names = {pod.metadata.key.name for pod in pods}
    return next(number for number in range(len(pods), 2 * len(pods) + 1) if f"{job.metadata.key.name}-{number}" not in names)


def _why_failed(pods: Iterable[Pod]) -> str:
    """Tell a program that fails from pods that no node admitted: the controller makes only the latter's job anew."""
    reasons = {pod.reason for pod in pods}
    return reasons.pop() if len(reasons) == 1 and reasons <= _NOT_ADMITTED else "BackoffLimitExceeded"
