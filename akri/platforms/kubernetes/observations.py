"""Pods, jobs, services and nodes of the API server as the controller's values. Pure; times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import JsonObject
from akri.core.naming import LABEL_CONFIGURATION, LABEL_INSTANCE, LABEL_TARGET_NODE
from akri.platforms.kubernetes.reading import items, members, seconds, text
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, BrokerJob, BrokerPod, BrokerService, NodeState, Phase

__all__ = ["broker_job", "broker_pod", "broker_service", "node_state", "refusal"]

_GROUP: Final = "akri.sh/"
_INSTANCE: Final = "Instance"
_OWNER_LABELS: Final = {_INSTANCE: LABEL_INSTANCE, "Configuration": LABEL_CONFIGURATION}
_PHASES: Final = {phase.value: phase for phase in Phase} | {"Unknown": Phase.RUNNING}
"""Unknown was set for pods of silent nodes by servers of old: nobody knows of an end."""
_ALL: Final = ("initContainerStatuses", "containerStatuses")
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def broker_pod(pod: JsonObject) -> BrokerPod | None:
    """Read a pod that Akri made; None for one that does not serve an Instance (a job's, or one that only carries the label).

    Its node is the one that it was made for, from the affinity that every broker has: also while it is not bound, and if
    the user's own `nodeName` sent it elsewhere.
    """
    metadata, status = members(pod.get("metadata")), members(pod.get("status"))
    instance = _owner(metadata, _INSTANCE)
    if instance is None:
        return None
    phase = _PHASES.get(text(status.get("phase")), Phase.PENDING)
    return BrokerPod(
        key=_key(metadata),
        uid=text(metadata.get("uid")),
        instance=instance,
        node=_target(metadata, members(pod.get("spec"))),
        phase=phase,
        attempt=_attempt(metadata),
        spec_hash=_annotation(metadata, ANNOTATION_HASH),
        created=seconds(metadata.get("creationTimestamp")),
        started=_started(status, phase),
        finished=_finished(metadata, status) if phase.terminal else 0.0,
        reason=text(status.get("reason")) or (_failure(status) if phase is Phase.FAILED else ""),
        deleting=_deleting(metadata),
    )


def broker_job(job: JsonObject) -> BrokerJob | None:
    """Read a job that Akri made; None for one that does not serve an Instance.

    It has ended with the condition Complete or Failed alone: SuccessCriteriaMet and FailureTarget come before, while its
    pods still run.
    """
    metadata, status = members(job.get("metadata")), members(job.get("status"))
    instance = _owner(metadata, _INSTANCE)
    if instance is None:
        return None
    ends = {name: condition for name, condition in _conditions(status) if name in {"Complete", "Failed"} and _holds(condition)}
    failed = ends.get("Failed", {})
    finished = (seconds(condition.get("lastTransitionTime")) for condition in ends.values())
    return BrokerJob(
        key=_key(metadata),
        uid=text(metadata.get("uid")),
        instance=instance,
        spec_hash=_annotation(metadata, ANNOTATION_HASH),
        attempt=_attempt(metadata),
        created=seconds(metadata.get("creationTimestamp")),
        finished=max(finished, default=0.0),
        complete="Complete" in ends,
        failed="Failed" in ends,
        reason=text(failed.get("reason")),
        deleting=_deleting(metadata),
    )


def refusal(pods: Iterable[JsonObject]) -> str:
    """Say why nodes refused all the pods of a job that ended, in the word of the latest; empty if a program of it ran.

    A kubelet that refuses a pod fails it before a container starts, and gives its reason for the whole pod.
    """
    failed = [status for pod in pods if (status := members(pod.get("status"))).get("phase") == Phase.FAILED.value]
    if not failed or not all(map(_refused, failed)):
        return ""
    return text(max(failed, key=lambda status: seconds(status.get("startTime"))).get("reason"))


def broker_service(service: JsonObject) -> BrokerService | None:
    """Read a service that Akri made; None for one that belongs to no Instance and no Configuration.

    What it was made from is told by the annotation alone: the server fills in much of the spec.
    """
    metadata = members(service.get("metadata"))
    owner = _owner(metadata, *_OWNER_LABELS)
    if owner is None:
        return None
    return BrokerService(_key(metadata), text(metadata.get("uid")), owner, _annotation(metadata, ANNOTATION_HASH))


def node_state(node: JsonObject) -> NodeState:
    """Read a node. It is ready if its condition Ready says so; one that never said anything is not, since it was made.

    `since` is when that condition last changed, so a step from False to Unknown begins the time anew: rather late than
    early. Taints and `unschedulable` say nothing of being lost: a node that is drained keeps its devices.
    """
    metadata = members(node.get("metadata"))
    ready = next((condition for name, condition in _conditions(members(node.get("status"))) if name == "Ready"), None)
    created = seconds(metadata.get("creationTimestamp"))
    name = NodeName(text(metadata.get("name")))
    if ready is None:
        return NodeState(name, ready=False, since=created)
    return NodeState(name, ready=_holds(ready), since=seconds(ready.get("lastTransitionTime")) or created)


def _key(metadata: JsonObject) -> ObjectKey:
    return ObjectKey(text(metadata.get("namespace")), text(metadata.get("name")))


def _owner(metadata: JsonObject, *kinds: str) -> ObjectKey | None:
    """Name what manages an object, if that is of Akri and one of these kinds; what has lost its owner still has its label."""
    namespace = text(metadata.get("namespace"))
    controller = next((owner for owner in items(metadata.get("ownerReferences")) if owner.get("controller") is True), None)
    if controller is not None:
        ours = text(controller.get("apiVersion")).startswith(_GROUP) and controller.get("kind") in kinds
        return ObjectKey(namespace, text(controller.get("name"))) if ours else None
    labels = members(metadata.get("labels"))
    names = (text(labels.get(_OWNER_LABELS[kind])) for kind in kinds)
    return next((ObjectKey(namespace, name) for name in names if name), None)


def _annotation(metadata: JsonObject, name: str) -> str:
    return text(members(metadata.get("annotations")).get(name))


def _attempt(metadata: JsonObject) -> int:
    digits = _annotation(metadata, ANNOTATION_ATTEMPT)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0


def _deleting(metadata: JsonObject) -> bool:
    return metadata.get("deletionTimestamp") is not None


def _target(metadata: JsonObject, spec: JsonObject) -> NodeName:
    affinity = members(members(members(spec.get("affinity")).get("nodeAffinity")).get(_REQUIRED))
    label = text(members(metadata.get("labels")).get(LABEL_TARGET_NODE))
    first = members(next(items(affinity.get("nodeSelectorTerms")), None))
    # Ours is the last one: those before it are the user's.
    named = [field for field in items(first.get("matchFields")) if field.get("key") == "metadata.name" and field.get("operator") == "In"]
    values = named[-1].get("values") if named else None
    made_for = text(values[0]) if isinstance(values, list | tuple) and len(values) == 1 else ""
    return NodeName(made_for or text(spec.get("nodeName")) or label)


def _started(status: JsonObject, phase: Phase) -> float:
    """When the first container began; the start of a pod that was refused, or still pulls images, has not happened."""
    if phase is Phase.PENDING:
        return 0.0
    known = _starts(status, "containerStatuses")
    return min(known) if known else (seconds(status.get("startTime")) if phase is Phase.RUNNING else 0.0)


def _finished(metadata: JsonObject, status: JsonObject) -> float:
    """When a pod that has ended did so: the latest end of a container, or what else tells of it.

    The conditions are asked last: a kubelet that was restarted dates those of a pod that it had refused anew.
    """
    ends = [end for terminated in _ends(status) if (end := seconds(terminated.get("finishedAt"))) > 0]
    telling = {"DisruptionTarget"}
    silent = any("running" in members(container.get("state")) for container in items(status.get("containerStatuses")))
    if silent or not (ends or _refused(status)):
        telling |= {"Ready", "ContainersReady"}
    conditions = (seconds(condition.get("lastTransitionTime")) for name, condition in _conditions(status) if name in telling)
    return max(seconds(metadata.get("creationTimestamp")), seconds(status.get("startTime")), *ends, *conditions)


def _refused(status: JsonObject) -> bool:
    """Whether a node refused a pod that failed: it gave a reason for the whole pod, and no container ever began."""
    return bool(status.get("reason")) and not _starts(status, *_ALL)


def _failure(status: JsonObject) -> str:
    """The word for the first container that failed: `Error`, `OOMKilled`, `ContainerCannotRun`."""
    return next((text(end.get("reason")) for end in _ends(status) if end.get("exitCode")), "")


def _ends(status: JsonObject) -> Iterator[JsonObject]:
    for name in _ALL:
        for container in items(status.get(name)):
            yield members(members(container.get("state")).get("terminated"))


def _starts(status: JsonObject, *lists: str) -> list[float]:
    """When containers of these lists began, as far as the status still knows: their present run, or the one before."""
    states = (state for name in lists for container in items(status.get(name)) for state in _states(container))
    return [start for state in states if (start := seconds(state.get("startedAt"))) > 0]


def _states(container: JsonObject) -> Iterator[JsonObject]:
    for state in (members(container.get("state")), members(container.get("lastState"))):
        for name in ("running", "terminated"):
            yield members(state.get(name))


def _conditions(status: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for condition in items(status.get("conditions")):
        yield text(condition.get("type")), condition


def _holds(condition: JsonObject) -> bool:
    return condition.get("status") == "True"
