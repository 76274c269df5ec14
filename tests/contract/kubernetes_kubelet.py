"""What kubelets and the job controller write in a real cluster, written here with all rights: bindings, statuses, ends."""

from __future__ import annotations

from datetime import UTC, datetime

from akri.core.ids import NodeName, ObjectKey
from akri.platforms.kubernetes.observations import broker_pod
from tests.cluster.admin import Admin, Manifest

__all__ = ["complete_job", "delete_pod", "end_pod", "job_path", "node_path", "pod_path", "run_pod", "set_ready", "user_pod"]

IMAGE = "localhost/none:1"


def pod_path(key: ObjectKey) -> str:
    return f"/api/v1/namespaces/{key.namespace}/pods/{key.name}"


def job_path(key: ObjectKey) -> str:
    return f"/apis/batch/v1/namespaces/{key.namespace}/jobs/{key.name}"


def node_path(name: NodeName) -> str:
    return f"/api/v1/nodes/{name}"


def user_pod(key: ObjectKey, node: NodeName, resource: str, count: int) -> Manifest:
    container = {"name": "main", "image": IMAGE, "resources": {"limits": {resource: str(count)}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": key.namespace, "name": key.name},
        "spec": {"nodeName": node, "containers": [container], "automountServiceAccountToken": False},
    }


async def run_pod(admin: Admin, key: ObjectKey) -> None:
    """Bind it to where it wants to be, if no user did, and let its containers run."""
    pod = await admin.get(pod_path(key))
    if not pod["spec"].get("nodeName"):
        broker = broker_pod(pod)
        assert broker is not None
        target = {"apiVersion": "v1", "kind": "Node", "name": broker.node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": key.name, "namespace": key.namespace}, "target": target}
        await admin.request("POST", f"{pod_path(key)}/binding", binding)
    now = _now()
    status = {"phase": "Running", "startTime": now, "conditions": [_condition("Ready", "True")]}
    await _write_pod(admin, pod, {**status, "containerStatuses": _statuses(pod, {"running": {"startedAt": now}})})


async def end_pod(admin: Admin, key: ObjectKey, *, succeeded: bool, reason: str = "") -> None:
    """Let all its containers end. A pod that is refused never had any."""
    pod = await admin.get(pod_path(key))
    now = _now()
    code, word = (0, "Completed") if succeeded else (1, "Error")
    state = {"terminated": {"exitCode": code, "reason": word, "startedAt": now, "finishedAt": now}}
    status = {"phase": "Succeeded" if succeeded else "Failed", "reason": reason or None, "conditions": [_condition("Ready", "False")]}
    await _write_pod(admin, pod, {**status, "containerStatuses": _statuses(pod, state)})


async def delete_pod(admin: Admin, key: ObjectKey, *, force: bool) -> None:
    await admin.delete(pod_path(key), grace=0 if force else None)


async def complete_job(admin: Admin, key: ObjectKey, *, succeeded: bool) -> None:
    """End a job as its controller does: first the cause, then the end."""
    before, at_last = ("SuccessCriteriaMet", "Complete") if succeeded else ("FailureTarget", "Failed")
    started = (await admin.get(job_path(key)))["metadata"]["creationTimestamp"]
    counts = {"succeeded": 1, "completionTime": _now()} if succeeded else {"failed": 1}
    status = {"startTime": started, **counts, "conditions": [_condition(before, "True"), _condition(at_last, "True")]}
    await admin.patch(f"{job_path(key)}/status", {"status": status})


async def set_ready(admin: Admin, name: NodeName, *, ready: bool) -> None:
    condition = {**_condition("Ready", "True" if ready else "Unknown"), "lastHeartbeatTime": _now()}
    await admin.patch(f"{node_path(name)}/status", {"status": {"conditions": [condition]}})


async def _write_pod(admin: Admin, pod: Manifest, status: Manifest) -> None:
    key = ObjectKey(pod["metadata"]["namespace"], pod["metadata"]["name"])
    await admin.patch(f"{pod_path(key)}/status", {"status": status})


def _statuses(pod: Manifest, state: Manifest) -> list[Manifest]:
    fields = {"image": IMAGE, "imageID": "", "ready": "running" in state, "restartCount": 0, "state": state}
    return [{"name": container["name"], **fields} for container in pod["spec"]["containers"]]


def _condition(kind: str, status: str) -> Manifest:
    return {"type": kind, "status": status, "reason": "Played", "message": "", "lastTransitionTime": _now()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
