"""Recordings held against the rules of release: how far observations lag behind a container's end, and what was released early."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from akri.core.evidence import Id
from akri.core.ids import PluginDeviceId
from benchmarks._evidence_record import RESOURCE, Recording
from benchmarks._evidence_replay import Agent, Allocating, Answered, Entry, KubeletStarted, cut_off, drops, gaps, proofs, releases

__all__ = ["USUAL", "Ended", "Figures", "early_releases", "ended_pods", "figures", "variants"]

USUAL: Final = Agent()
"""The agent as it is: a List every half second, and at once after a pod event."""
_PHASES: Final = (0.0, 0.1, 0.2, 0.3, 0.4)
_DELAYS: Final = (0.2, 1.0, 5.0)
_RESTARTS: Final = 20


@frozen
class Ended:
    """A pod that had a device. answered: when its last Allocate was answered. end: when its last container's process ended.

    until: when the device went to another pod, or the recording ended. All in seconds of the recording's clock.
    """

    uid: str
    pod: str
    id: Id
    answered: float
    end: float
    until: float


@frozen
class Figures:
    """Least, median, 95th percentile and most of some seconds; how many there were."""

    count: int
    least: float
    median: float
    p95: float
    most: float

    def __str__(self) -> str:
        """Print as cells of a table."""
        return f"{self.least:.2f} / {self.median:.2f} / {self.p95:.2f} / {self.most:.2f}" if self.count else "never"


def figures(seconds: Iterable[float]) -> Figures:
    """Summarise."""
    values = sorted(seconds)
    if not values:
        return Figures(0, 0.0, 0.0, 0.0, 0.0)
    last = values[min(len(values) - 1, round(0.95 * (len(values) - 1)))]
    return Figures(len(values), values[0], statistics.median(values), last, values[-1])


def ended_pods(recording: Recording) -> Sequence[Ended]:
    """Find the pods that had a device and whose containers have all ended."""
    asked = [(entry.at, id_) for entry in recording.entries if isinstance(entry, Allocating) for id_ in entry.ids]
    answered = [(entry.at, id_) for entry in recording.entries if isinstance(entry, Answered) for id_ in entry.ids]
    last = recording.entries[-1].at
    found: list[Ended] = []
    for uid in dict.fromkeys(life.pod_uid for life in recording.lives if life.device):
        lives = [life for life in recording.lives if life.pod_uid == uid]
        first = next(life for life in lives if life.device)
        id_: Id = (RESOURCE, PluginDeviceId(first.device))
        begin = max((at for at, known in answered if known == id_ and at <= first.seen), default=first.seen)
        until = min((at for at, known in asked if known == id_ and at > first.seen), default=last)
        ends = [life.end for life in lives if life.end is not None]
        if len(ends) == len(lives):
            found.append(Ended(uid, first.pod, id_, begin, max(ends), until))
    return found


def released_at(pod: Ended, decided: Sequence[tuple[float, Id]]) -> float | None:
    """When the slot of a pod was released, None if it was not before the next pod got it."""
    return next((at for at, id_ in decided if id_ == pod.id and pod.answered < at <= pod.until), None)


def variants(entries: Sequence[Entry], seed: int) -> Mapping[str, Agent]:
    """Agents that observe the same in other ways: at any other moment, as often as possible, late, and newly started."""
    dice = random.Random(seed)
    begin, end = entries[0].at, entries[-1].at
    starts = tuple(entry.at for entry in entries if isinstance(entry, KubeletStarted))
    every = {"every List": Agent(period=None)}
    phases = {f"Lists {phase} s later": Agent(phase=phase) for phase in _PHASES}
    late = {f"pod watch {delay} s late": Agent(period=None, watch_delay=delay) for delay in _DELAYS}
    moments = [begin + (end - begin) * dice.random() for _ in range(_RESTARTS)]
    restarts = {f"agent started {moment - begin:.1f} s after the begin": Agent(period=None, restarts=(moment,)) for moment in moments}
    beside = {
        f"agent started {lag} s after the kubelet": Agent(period=None, restarts=tuple(at + lag for at in starts))
        for lag in (0.0, 0.5, 2.0, 5.0)
    }
    return every | phases | late | restarts | (beside if starts else {})


def early_releases(recording: Recording, entries: Sequence[Entry], agents: Mapping[str, Agent]) -> Sequence[str]:
    """Describe each release that came before the end of the containers, under any of the agents."""
    pods = ended_pods(recording)
    return [
        f"{pod.pod}: {pod.end - at:.3f} s before its end ({name})"
        for name, agent in agents.items()
        for decided in (releases(entries, agent),)
        for pod in pods
        for at in (released_at(pod, decided),)
        if at is not None and at < pod.end
    ]


@frozen
class Judged:
    """A scenario's figures, in seconds after the end of a pod's last container; `proven` after the API showed the end.

    absent: the longest time for which Lists lacked the device of a living pod. unreleased: pods whose slot was not released in the
    recording. silent: pods whose device no List ever showed.
    """

    name: str
    pods: int
    dropped: Figures
    shown: Figures
    released: Figures
    proven: Figures
    absent: Figures
    unreleased: int
    silent: int
    early: Sequence[str]


def judge(name: str, recording: Recording, cuts: Sequence[tuple[float, float]], agent: Agent = USUAL) -> Judged:
    """Hold a recording against the rules."""
    entries: Sequence[Entry] = sorted(recording.entries, key=lambda entry: entry.at)
    for begin, end in cuts:
        entries = cut_off(entries, begin, end)
    pods, shown, decided = ended_pods(recording), proofs(entries), releases(entries, agent)
    at = {pod.uid: released_at(pod, decided) for pod in pods}
    first = {uid: min(time for time in times if time is not None) for uid, times in shown.items()}
    lost = {pod.uid: drops(entries, pod.id, pod.answered, pod.until) for pod in pods}
    return Judged(
        name,
        len(pods),
        figures(lost[pod.uid][-1] - pod.end for pod in pods if lost[pod.uid]),
        figures(first[pod.uid] - pod.end for pod in pods if pod.uid in first),
        figures(when - pod.end for pod in pods if (when := at[pod.uid]) is not None),
        figures(when - first[pod.uid] for pod in pods if (when := at[pod.uid]) is not None and pod.uid in first),
        figures(max(lacked) for pod in pods if (lacked := gaps(entries, pod.id, pod.answered, pod.end))),
        sum(when is None for when in at.values()),
        sum(not times for times in lost.values()),
        early_releases(recording, entries, variants(entries, 0)),
    )
