"""Pods for tests: written, run, waited for and removed through the API server, by an `Admin`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.cluster.admin import Admin, Manifest
from tests.cluster.images import BUSYBOX
from tests.cluster.processes import eventually

__all__ = ["STAY", "end_pod", "logs", "pod", "reached", "run_pod"]

STAY = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"
"""A script that stays until it is asked to end."""

_ENDED = frozenset({"Succeeded", "Failed"})


def pod(
    name: str,
    *,
    node: str = "",
    script: str = STAY,
    namespace: str = "default",
    image: str = BUSYBOX,
    resources: Mapping[str, int] | None = None,
    restart: str = "Never",
    grace: int = 1,
) -> Manifest:
    """A pod of one container, `main`, which runs a shell script. Without `node` the scheduler chooses; with it nobody is asked.

    `resources` are device plugin resources and how many of each; `grace` is the termination grace in seconds.
    """
    container: Manifest = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script]}
    if resources:
        container["resources"] = {"limits": {resource: str(count) for resource, count in resources.items()}}
    specification: Manifest = {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": grace,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    if node:
        specification["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": specification}


async def run_pod(admin: Admin, manifest: Manifest, *, phase: str = "Running", seconds: float = 60.0) -> Manifest:
    """Make a pod and wait until it is in this phase; returns it. Raises as `reached` does."""
    return await reached(admin, await admin.create(manifest), phase, seconds=seconds)


async def reached(admin: Admin, manifest: Manifest, *phases: str, seconds: float = 60.0) -> Manifest:
    """Wait until a pod is in one of these phases; returns it.

    Raises TimeoutError, or at once ValueError with the pod's status, if the pod ended in another one.
    """
    found = manifest

    async def arrived() -> bool:
        nonlocal found
        found = await admin.get(manifest)
        now = found["status"]["phase"]
        if now in _ENDED and now not in phases:
            raise ValueError(f"pod {manifest['metadata']['name']} is {now}, expected {' or '.join(phases)}: {found['status']}")
        return now in phases

    await eventually(arrived, seconds=seconds, what=f"pod {manifest['metadata']['name']} to be {' or '.join(phases)}")
    return found


async def logs(admin: Admin, manifest: Manifest, *, container: str = "main") -> str:
    """What a container of a pod has written."""
    answer = await admin.request("GET", f"{await admin.path(manifest)}/log", parameters={"container": container})
    return str(answer["message"])


async def end_pod(admin: Admin, *manifests: Manifest, grace: int | None = None, seconds: float = 60.0) -> None:
    """Delete pods and wait until their objects are gone; those that are gone already are passed over."""
    left: Sequence[Manifest] = [manifest for manifest in manifests if await admin.find(manifest) is not None]
    for manifest in left:
        await admin.delete(manifest, grace=grace)

    async def gone() -> bool:
        return not [manifest for manifest in left if await admin.find(manifest) is not None]

    await eventually(gone, seconds=seconds, what=f"{len(left)} pods to be gone")
