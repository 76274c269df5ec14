"""Each write to an Instance as the API server takes it: JSON patches that test what they rely on (sharing.md). Pure.

A patch is applied as a whole or not at all. What it tests is what the decision in `akri.platforms.writes` rested on, so a write
that was decided on one state never changes another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from akri.core.codec import print_instance
from akri.core.ids import NodeName, SlotId
from akri.core.instance import ANNOTATION_FENCE, Instance
from akri.core.metadata import Json, JsonObject
from akri.core.usage import Usage, print_usage

__all__ = [
    "JSON",
    "JSON_PATCH",
    "MERGE_PATCH",
    "Request",
    "claim",
    "claim_missing_key",
    "create",
    "delete",
    "fence",
    "join",
    "leave",
    "release",
    "update",
]

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"

_UID: Final = "/metadata/uid"
_REVISION: Final = "/metadata/resourceVersion"


@frozen
class Request:
    """What to send about one Instance: to its own path, or, for a POST, to that of its namespace."""

    method: str
    content_type: str
    body: Json = field(hash=False)


def create(instance: Instance) -> Request:
    """Create an Instance. What the server gives (uid, revision, generation, time) is left out."""
    metadata = evolve(instance.metadata, uid="", revision=0, generation=0, created=0.0)
    return Request("POST", JSON, print_instance(evolve(instance, metadata=metadata)))


def claim(slot: SlotId, usage: Usage) -> Request:
    """Take a slot whose key is there, whatever else happened to the Instance meanwhile."""
    path = _slot_path(slot)
    return _patch(_test(path, ""), _replace(path, print_usage(usage)))


def claim_missing_key(stored: Instance, slot: SlotId, usage: Usage) -> Request:
    """Take a slot whose key is missing: JSON patches cannot test for that, so the Instance's revision stands for it."""
    return _patch(*_tests(stored), _add(_slot_path(slot), print_usage(usage)))


def release(instance: Instance, slot: SlotId, usage: Usage) -> Request:
    """Free a slot, if nothing at all changed since `instance` was read."""
    path = _slot_path(slot)
    return _patch(*_tests(instance), _test(path, print_usage(usage)), _replace(path, ""))


def join(uid: str, node: NodeName) -> Request:
    """Add a node at the end. The list is a set, so the server refuses a node that is in it."""
    return _patch(_test(_UID, uid), _add("/spec/nodes/-", node))


def leave(stored: Instance, node: NodeName) -> Request:
    """Remove a node from where it stands; raises ValueError if it is not there."""
    path = f"/spec/nodes/{stored.nodes.index(node)}"
    return _patch(_test(_UID, stored.metadata.uid), _test(path, node), {"op": "remove", "path": path})


def update(stored: Instance, changed: Instance, reporter: NodeName) -> Request:
    """Write what the reporter writes, and of it only what differs, if it still reports and nothing changed since `stored` was read."""
    fields: Mapping[str, tuple[Json, Json]] = {
        "/metadata/annotations": (dict(stored.metadata.annotations), dict(changed.metadata.annotations)),
        "/spec/capacity": (stored.capacity, changed.capacity),
        "/spec/deviceUsage": (dict(stored.device_usage), dict(changed.device_usage)),
        "/spec/brokerProperties": (dict(stored.broker_properties), dict(changed.broker_properties)),
    }
    # `add` replaces a member that is there.
    writes = [_add(path, wanted) for path, (present, wanted) in fields.items() if present != wanted]
    return _patch(*_tests(stored), _test("/spec/nodes/0", reporter), *writes)


def fence(value: str) -> Request:
    """Change the revision through an annotation, whether there are annotations or not; any state will do, so nothing is tested."""
    return Request("PATCH", MERGE_PATCH, {"metadata": {"annotations": {ANNOTATION_FENCE: value}}})


def delete(stored: Instance) -> Request:
    """Delete an Instance if nothing changed since it was read."""
    preconditions: JsonObject = {"uid": stored.metadata.uid, "resourceVersion": str(stored.metadata.revision)}
    options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": preconditions}
    return Request("DELETE", JSON, options)


def _patch(*operations: JsonObject) -> Request:
    return Request("PATCH", JSON_PATCH, list(operations))


def _tests(stored: Instance) -> tuple[JsonObject, JsonObject]:
    return (_test(_UID, stored.metadata.uid), _test(_REVISION, str(stored.metadata.revision)))


def _test(path: str, value: Json) -> JsonObject:
    return {"op": "test", "path": path, "value": value}


def _replace(path: str, value: Json) -> JsonObject:
    return {"op": "replace", "path": path, "value": value}


def _add(path: str, value: Json) -> JsonObject:
    return {"op": "add", "path": path, "value": value}


def _slot_path(slot: SlotId) -> str:
    # A name has neither, but a path is a path (RFC 6901).
    return f"/spec/deviceUsage/{str(slot).replace('~', '~0').replace('/', '~1')}"
