"""What is kept of a pod under `brokers/<uid>/pod.json`, from its admission to its end, so that it survives the agent and a damaged store.

`{"version": 1, "pod": ..., "instance": ..., "instances": [...], "job": ..., "edits": ...}`: the pod as it was admitted, the
Instance that it serves, all Instances that it may have slots of, with its claims in them, the job that made it (null where there
is none), and what each container gets with its devices. It may hold secrets: only the owner reads it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from attrs import field, frozen

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.ids import ResourceName
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.naming import resource_name
from akri.platforms.local.documents import INSTANCE, JOB, POD
from akri.platforms.local.objects import Job, Pod
from akri.platforms.local.store import LocalStore
from akri.platforms.pod_requests import device_requests

__all__ = ["POD_FILE", "PodRecord", "has_record", "read_record", "record_of", "records", "write_record"]

POD_FILE: Final = "pod.json"
_VERSION: Final = 1


@frozen
class PodRecord:
    """One record. The Instances and the job are only written, for whoever builds a damaged store anew."""

    pod: Pod
    edits: Mapping[str, ContainerEdits] = field(factory=dict[str, ContainerEdits], hash=False)
    instances: tuple[Instance, ...] = ()
    job: Job | None = None


def record_of(pod: Pod, edits: Mapping[str, ContainerEdits], store: LocalStore) -> PodRecord:
    """Put a record together of what a store has at this moment."""
    namespace, asked = pod.metadata.key.namespace, frozenset(device_requests(pod.spec))
    instances = tuple(one for one in store.instances if one.key == pod.instance or (one.key.namespace == namespace and _gives(one, asked)))
    owners = {owner.uid for owner in pod.metadata.owners}
    job = next((job for job in store.jobs if job.metadata.uid in owners), None) if owners else None
    return PodRecord(pod, edits, instances, job)


def _gives(instance: Instance, asked: AbstractSet[ResourceName]) -> bool:
    return resource_name(instance.name) in asked or resource_name(instance.configuration) in asked


def write_record(folder: Path, record: PodRecord) -> None:
    """Write a pod's record in place of a former one, all or nothing; raises OSError."""
    own = next((one for one in record.instances if one.key == record.pod.instance), None)
    document: Json = {
        "version": _VERSION,
        "pod": POD.write(record.pod),
        "instance": None if own is None else INSTANCE.write(own),
        "instances": [INSTANCE.write(one) for one in record.instances],
        "job": None if record.job is None else JOB.write(record.job),
        "edits": {name: _print_edits(edits) for name, edits in record.edits.items()},
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{POD_FILE}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
    temporary.replace(folder / POD_FILE)


def has_record(folder: Path) -> bool:
    """Whether the pod of this folder was admitted: its record can be read."""
    return read_record(folder) is not None


def read_record(folder: Path) -> PodRecord | None:
    """Read a pod's record, without Instances and job; None if there is none, or none that can be read."""
    try:
        document = _object(json.loads((folder / POD_FILE).read_text(encoding="utf-8")))
        if document.get("version") != _VERSION:
            return None
        edits = _object(document.get("edits", {}))
        pod = POD.read(_object(document.get("pod")))
        return PodRecord(pod, {name: _read_edits(_object(item)) for name, item in edits.items()})
    except (OSError, ValueError, RecursionError):
        return None


def records(brokers: Path) -> Iterator[tuple[Path, PodRecord]]:
    """Give all readable records of a state's `brokers` folder, each with its own folder."""
    if not brokers.is_dir():
        return
    for folder in sorted(brokers.iterdir()):
        record = read_record(folder)
        if record is not None and record.pod.metadata.uid == folder.name:
            yield folder, record


def _print_edits(edits: ContainerEdits) -> JsonObject:
    return {
        "environment": dict(edits.environment),
        "mounts": [[mount.container_path, mount.host_path, mount.read_only] for mount in edits.mounts],
        "deviceNodes": [[node.container_path, node.host_path, node.permissions] for node in edits.device_nodes],
    }


def _read_edits(item: JsonObject) -> ContainerEdits:
    mounts = [_list(mount) for mount in _list(item.get("mounts"))]
    nodes = [_list(node) for node in _list(item.get("deviceNodes"))]
    return ContainerEdits(
        {name: str(value) for name, value in _object(item.get("environment")).items()},
        tuple(Mount(str(inside), str(outside), read_only=bool(read_only)) for inside, outside, read_only in mounts),
        tuple(DeviceNode(str(inside), str(outside), str(permissions)) for inside, outside, permissions in nodes),
    )


def _object(value: Json) -> JsonObject:
    if not isinstance(value, Mapping):
        raise InvalidValueError("record", value, "an object")
    return value


def _list(value: Json) -> Sequence[Json]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidValueError("record", value, "a list")
    return value
