"""The controller's actions as the API server takes them: manifests, patches and the options of deletions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import assert_never

from akri.core.codec import print_owner, print_status
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.reports import ConfigurationStatus
from akri.platforms.kubernetes.patches import JSON_PATCH, Request
from akri.platforms.kubernetes.reading import members, texts
from akri.scheduling.model import CreateJob, CreatePod, CreateService, UpdateService

__all__ = ["change", "creation", "deletion", "finalizers_dropped", "service_update", "status_change"]


def creation(action: CreatePod | CreateJob | CreateService) -> JsonObject:
    """Print what is to be created."""
    match action:
        case CreatePod():
            version, kind = "v1", "Pod"
        case CreateJob():
            version, kind = "batch/v1", "Job"
        case CreateService():
            version, kind = "v1", "Service"
        case _:
            assert_never(action)
    metadata: JsonObject = {
        "name": action.key.name,
        "namespace": action.key.namespace,
        "labels": dict(action.labels),
        "annotations": dict(action.annotations),
        "ownerReferences": [print_owner(action.owner)],
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(action.spec)}


def service_update(found: JsonObject, action: UpdateService) -> Request:
    """Bring a stored service to the wanted spec, if nothing changes it meanwhile.

    Labels and annotations of others stay, for example those of a load balancer. The spec is the wanted one alone: what the
    server has allocated (cluster addresses, address families, node ports) it keeps for whoever does not mention it.
    """
    metadata = members(found.get("metadata"))
    fields: dict[str, JsonObject] = {
        "/metadata/labels": {**members(metadata.get("labels")), **action.labels},
        "/metadata/annotations": {**members(metadata.get("annotations")), **action.annotations},
        "/spec": dict(action.spec),
    }
    return _patch(metadata, fields)


def deletion(uid: str) -> JsonObject:
    """Print the options of a deletion of this very object; what it owns goes after it."""
    return {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": {"uid": uid}}


def change(stored: Instance, changed: Instance) -> Request:
    """Bring an Instance to what the controller wants, if nothing at all changed since it was read. What is as it was is not written."""
    fields: dict[str, tuple[Json, Json]] = {
        "/metadata/annotations": (dict(stored.metadata.annotations), dict(changed.metadata.annotations)),
        "/spec/nodes": (list(stored.nodes), list(changed.nodes)),
        "/spec/capacity": (stored.capacity, changed.capacity),
        "/spec/deviceUsage": (dict(stored.device_usage), dict(changed.device_usage)),
    }
    metadata: JsonObject = {"uid": stored.metadata.uid, "resourceVersion": str(stored.metadata.revision)}
    return _patch(metadata, {path: wanted for path, (present, wanted) in fields.items() if present != wanted})


def finalizers_dropped(found: JsonObject, dropped: Collection[str]) -> Request | None:
    """Remove finalizers, if nothing changes the object meanwhile; None if it has none of them."""
    metadata = members(found.get("metadata"))
    present = texts(metadata.get("finalizers"))
    left = [name for name in present if name not in dropped]
    return _patch(metadata, {"/metadata/finalizers": left}) if len(left) < len(present) else None


def status_change(uid: str, status: ConfigurationStatus) -> Request:
    """Replace the status of this very Configuration, whatever else happened to it meanwhile.

    The server passes over a uid in the body of a merge patch of a status, so it is tested by a JSON patch.
    """
    tested: JsonObject = {"op": "test", "path": "/metadata/uid", "value": uid}
    return Request("PATCH", JSON_PATCH, [tested, {"op": "add", "path": "/status", "value": print_status(status)}])


def _patch(metadata: JsonObject, fields: Mapping[str, Json]) -> Request:
    tests: list[Json] = [{"op": "test", "path": f"/metadata/{name}", "value": metadata.get(name)} for name in ("uid", "resourceVersion")]
    # `add` replaces a member that is there.
    return Request("PATCH", JSON_PATCH, [*tests, *({"op": "add", "path": path, "value": value} for path, value in fields.items())])
