"""What is kept of a pod under `brokers/<uid>/pod.json`, from its admission to its end, so that it survives the agent and a damaged store.

`{"version": 1, "pod": ..., "instance": ..., "edits": ...}`: the pod as it was admitted, the Instance that it serves with the
claim in it (null for a user's pod), and what each container gets with its devices. It may hold secrets: only the owner reads it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from attrs import field, frozen

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import Json, JsonObject, ObjectMeta, OwnerReference
from akri.platforms.local.objects import Pod
from akri.scheduling.model import Phase

__all__ = ["POD_FILE", "PodRecord", "print_pod", "read_pod", "read_record", "records", "write_record"]

POD_FILE: Final = "pod.json"
_VERSION: Final = 1
_T = TypeVar("_T")


@frozen
class PodRecord:
    """One record. instance: the document of the Instance that the pod serves."""

    pod: Pod
    instance: JsonObject | None = field(default=None, hash=False)
    edits: Mapping[str, ContainerEdits] = field(factory=dict[str, ContainerEdits], hash=False)


def write_record(folder: Path, record: PodRecord) -> None:
    """Write a pod's record in place of a former one, all or nothing; raises OSError."""
    document: Json = {
        "version": _VERSION,
        "pod": print_pod(record.pod),
        "instance": None if record.instance is None else dict(record.instance),
        "edits": {name: _print_edits(edits) for name, edits in record.edits.items()},
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{POD_FILE}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, default=_plain)
    temporary.replace(folder / POD_FILE)


def read_record(folder: Path) -> PodRecord | None:
    """Read a pod's record; None if there is none, or none that can be read."""
    try:
        document = _object(json.loads((folder / POD_FILE).read_text(encoding="utf-8")), "record")
        if document.get("version") != _VERSION:
            return None
        instance = document.get("instance")
        edits = _object(document.get("edits", {}), "edits")
        return PodRecord(
            read_pod(_object(document.get("pod"), "pod")),
            None if instance is None else _object(instance, "instance"),
            {name: _read_edits(_object(item, "edits")) for name, item in edits.items()},
        )
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


def print_pod(pod: Pod) -> JsonObject:
    """Print a pod as JSON, with all that is known of it."""
    metadata = pod.metadata
    return {
        "metadata": {
            "namespace": metadata.key.namespace,
            "name": metadata.key.name,
            "uid": metadata.uid,
            "revision": metadata.revision,
            "generation": metadata.generation,
            "created": metadata.created,
            "labels": dict(metadata.labels),
            "annotations": dict(metadata.annotations),
            "finalizers": list(metadata.finalizers),
            "owners": [_print_owner(owner) for owner in metadata.owners],
            "deleting": metadata.deleting,
        },
        "spec": pod.spec,
        "node": pod.node,
        "bound": pod.bound,
        "instance": None if pod.instance is None else {"namespace": pod.instance.namespace, "name": pod.instance.name},
        "phase": pod.phase.value,
        "reason": pod.reason,
        "message": pod.message,
        "started": pod.started,
        "finished": pod.finished,
        "grace": pod.grace,
    }


def read_pod(document: JsonObject) -> Pod:
    """Read what `print_pod` printed; raises InvalidValueError for anything else."""
    metadata = _object(document.get("metadata"), "metadata")
    instance = document.get("instance")
    return Pod(
        ObjectMeta(
            _key(metadata),
            uid=_of(str, metadata, "uid"),
            revision=_of(int, metadata, "revision"),
            generation=_of(int, metadata, "generation"),
            created=_number(metadata, "created"),
            labels=_texts(metadata, "labels"),
            annotations=_texts(metadata, "annotations"),
            finalizers=tuple(str(name) for name in _list(metadata.get("finalizers"), "finalizers")),
            owners=tuple(_read_owner(_object(item, "owners")) for item in _list(metadata.get("owners"), "owners")),
            deleting=_of(bool, metadata, "deleting"),
        ),
        _object(document.get("spec"), "spec"),
        node=NodeName(_of(str, document, "node")),
        bound=_of(bool, document, "bound"),
        instance=None if instance is None else _key(_object(instance, "instance")),
        phase=_phase(_of(str, document, "phase")),
        reason=_of(str, document, "reason"),
        message=_of(str, document, "message"),
        started=_number(document, "started"),
        finished=_number(document, "finished"),
        grace=_number(document, "grace"),
    )


def _print_owner(owner: OwnerReference) -> JsonObject:
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": owner.controller,
    }


def _read_owner(item: JsonObject) -> OwnerReference:
    texts = (_of(str, item, "apiVersion"), _of(str, item, "kind"), _of(str, item, "name"), _of(str, item, "uid"))
    return OwnerReference(*texts, controller=_of(bool, item, "controller"))


def _print_edits(edits: ContainerEdits) -> JsonObject:
    return {
        "environment": dict(edits.environment),
        "mounts": [[mount.container_path, mount.host_path, mount.read_only] for mount in edits.mounts],
        "deviceNodes": [[node.container_path, node.host_path, node.permissions] for node in edits.device_nodes],
    }


def _read_edits(item: JsonObject) -> ContainerEdits:
    mounts = [_list(mount, "mounts") for mount in _list(item.get("mounts"), "mounts")]
    nodes = [_list(node, "deviceNodes") for node in _list(item.get("deviceNodes"), "deviceNodes")]
    try:
        return ContainerEdits(
            _texts(item, "environment"),
            tuple(Mount(str(inside), str(outside), read_only=bool(read_only)) for inside, outside, read_only in mounts),
            tuple(DeviceNode(str(inside), str(outside), str(permissions)) for inside, outside, permissions in nodes),
        )
    except ValueError as error:
        raise InvalidValueError("edits", item, "mounts and device nodes of three parts each") from error


def _key(item: JsonObject) -> ObjectKey:
    return ObjectKey(_of(str, item, "namespace"), _of(str, item, "name"))


def _of(kind: type[_T], item: JsonObject, name: str) -> _T:
    value = item.get(name)
    if not isinstance(value, kind):
        raise InvalidValueError(name, value, f"a value of type {kind.__name__}")
    return value


def _number(item: JsonObject, name: str) -> float:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError(name, value, "a number")
    return float(value)


def _phase(text: str) -> Phase:
    try:
        return Phase(text)
    except ValueError as error:
        raise InvalidValueError("phase", text, "a phase of a pod") from error


def _texts(item: JsonObject, name: str) -> dict[str, str]:
    return {key: str(value) for key, value in _object(item.get(name), name).items()}


def _object(value: Json, place: str) -> JsonObject:
    if not isinstance(value, Mapping):
        raise InvalidValueError(place, value, "an object")
    return value


def _list(value: Json, place: str) -> Sequence[Json]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidValueError(place, value, "a list")
    return value


def _plain(value: object) -> object:
    """Print the frozen mappings within a spec."""
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(type(value).__name__)
