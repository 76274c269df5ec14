"""Pods, jobs, services and nodes as an API server, a kubelet and the job controller of version 1.36 write them."""

from __future__ import annotations

from datetime import UTC, datetime

from akri.core.metadata import Json, JsonObject

__all__ = ["CREATED", "INSTANCE_OWNER", "at", "condition", "container", "job", "metadata", "node", "pod"]

CREATED = 1_790_000_000
"""When all objects were created, seconds since the epoch."""
INSTANCE_OWNER: dict[str, Json] = {
    "apiVersion": "akri.sh/v0",
    "kind": "Instance",
    "name": "cam-8120fe",
    "uid": "3f0c",
    "controller": True,
    "blockOwnerDeletion": False,
}
_LABELS: dict[str, Json] = {
    "app": "node-a-cam-8120fe-pod",
    "controller": "akri.sh",
    "akri.sh/configuration": "cam",
    "akri.sh/instance": "cam-8120fe",
    "akri.sh/target-node": "node-a",
}


def at(seconds: int) -> str:
    """The time so many seconds after the creation, as the server prints it."""
    return datetime.fromtimestamp(CREATED + seconds, UTC).isoformat().replace("+00:00", "Z")


def condition(kind: str, status: str, seconds: int, reason: str = "") -> JsonObject:
    found: dict[str, Json] = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": at(seconds)}
    return {**found, "reason": reason, "message": "why"} if reason else found


def container(state: JsonObject, last: JsonObject | None = None, name: str = "main") -> JsonObject:
    return {"name": name, "ready": "running" in state, "restartCount": int(last is not None), "state": state, "lastState": last or {}}


def metadata(name: str, *owners: JsonObject, **fields: Json) -> JsonObject:
    made: dict[str, Json] = {
        "name": name,
        "namespace": "default",
        "uid": "9a1d",
        "resourceVersion": "1234",
        "creationTimestamp": at(0),
        "labels": _LABELS,
        "annotations": {"akri.sh/attempt": "3", "akri.sh/broker-hash": "abc-def"},
    }
    return made | ({"ownerReferences": list(owners)} if owners else {}) | fields


def pod(status: JsonObject, /, spec: JsonObject | None = None, **fields: Json) -> JsonObject:
    own: JsonObject = {"key": "metadata.name", "operator": "In", "values": ["node-a"]}
    terms: list[Json] = [{"matchFields": [own]}]
    affinity: JsonObject = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    made: dict[str, Json] = {"containers": [{"name": "main", "image": "i"}], "affinity": affinity, "restartPolicy": "Always"}
    return {"metadata": metadata("node-a-cam-8120fe-pod", INSTANCE_OWNER, **fields), "spec": {**made, **(spec or {})}, "status": status}


def job(*conditions: JsonObject, **fields: Json) -> JsonObject:
    status: JsonObject = {"startTime": at(0), "conditions": list(conditions), "uncountedTerminatedPods": {}}
    return {"metadata": metadata("cam-8120fe-1-job", INSTANCE_OWNER, **fields), "spec": {"backoffLimit": 2}, "status": status}


def node(*conditions: JsonObject, **spec: Json) -> JsonObject:
    pressure = condition("MemoryPressure", "False", 1, "KubeletHasSufficientMemory")
    made: JsonObject = {"name": "node-a", "uid": "51b1", "creationTimestamp": at(0), "labels": {"kubernetes.io/hostname": "node-a"}}
    return {"metadata": made, "spec": spec, "status": {"conditions": [pressure, *conditions]}}
