"""Pods of the API server as the agent of their node sees them: what they ask for, and whether they have ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from akri.core.evidence import UNSEEN_GRACE, PodObservation
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.reading import items, members, text
from akri.platforms.pod_requests import device_requests
from akri.scheduling.model import Phase

__all__ = ["pod_observation"]

_TERMINAL: Final = frozenset(phase.value for phase in Phase if phase.terminal)
_STATUSES: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def pod_observation(pod: JsonObject) -> PodObservation:
    """Read a pod of this node."""
    metadata, spec = members(pod.get("metadata")), members(pod.get("spec"))
    key = ObjectKey(text(metadata.get("namespace")), text(metadata.get("name")))
    told = metadata.get("deletionGracePeriodSeconds") if metadata.get("deletionTimestamp") else None
    return PodObservation(
        key,
        text(metadata.get("uid")),
        _ended(pod),
        device_requests(spec),
        _seconds(spec.get("terminationGracePeriodSeconds"), UNSEEN_GRACE),
        None if told is None else _seconds(told, UNSEEN_GRACE),
    )


def _seconds(value: Json, otherwise: float) -> float:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise


def _ended(pod: JsonObject) -> bool:
    """Whether no container of it runs or will run, as far as its kubelet said.

    A terminal phase alone is not enough while a container is shown running: the kubelet never leaves it so, but others write
    the phase of pods whose node is away. Nor are containers that have terminated, before the pod is told to end: they start
    again. A container that waits may yet start, as long as the kubelet has not made the phase terminal.
    """
    status = members(pod.get("status"))
    states = [members(container.get("state")) for container in _containers(status)]
    if text(status.get("phase")) in _TERMINAL:
        return not any("running" in state for state in states)
    if not members(pod.get("metadata")).get("deletionTimestamp"):
        return False
    return len(states) == _count(members(pod.get("spec"))) > 0 and all("terminated" in state for state in states)


def _containers(status: JsonObject) -> Iterator[JsonObject]:
    for name in _STATUSES:
        yield from items(status.get(name))


def _count(spec: JsonObject) -> int:
    return sum(len(list(items(spec.get(name)))) for name in ("initContainers", "containers", "ephemeralContainers"))
