"""The objects that the table of requests is about, as manifests. `cam` is the Configuration; each Instance has a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from tests.cluster.admin import Manifest

__all__ = [
    "FENCE",
    "UID_TO_COME",
    "Edit",
    "annotations_of",
    "created",
    "edited",
    "local",
    "owner",
    "report",
    "shared",
    "slot",
    "together",
    "unreadable",
    "upstreams",
    "without_nodes",
]

Edit = Callable[[Manifest], None]
"""Changes a manifest in place."""

FENCE = "akri.sh/fence"


UID_TO_COME = "0-1-2"
"""Stands for the uid of the Configuration of that name, which is stored first: the garbage collector removes what has no owner."""


def owner(**more: object) -> Manifest:
    """The Configuration as an owner."""
    return {"apiVersion": "akri.sh/v0", "kind": "Configuration", "name": "cam", "uid": UID_TO_COME, "controller": True} | more


def slot(name: str, index: int) -> str:
    """The key of a slot."""
    return f"{name}-{index}"


def created(name: str) -> Manifest:
    """What the agent of node-a creates when it sees a new device that others can see as well."""
    metadata: Manifest = {"name": name, "namespace": "default", "annotations": {"akri.sh/device-id": "foo0"}, "ownerReferences": [owner()]}
    specification: Manifest = {
        "configurationName": "cam",
        "cdiName": "akri.sh/cam=8120fe",
        "capacity": 3,
        "shared": True,
        "nodes": ["node-a"],
        "deviceUsage": {slot(name, index): "" for index in range(3)},
        "brokerProperties": {"URL": "rtsp://1"},
    }
    return {"apiVersion": "akri.sh/v0", "kind": "Instance", "metadata": metadata, "spec": specification}


def shared(name: str) -> Manifest:
    """An Instance in use: node-a reports, node-b sees it too, node-d saw it and holds a slot still; the key of the last slot is missing."""
    instance = created(name)
    usage = ["", "node-a", "C:cam-0:node-b", "node-d"]
    instance["spec"] |= {
        "capacity": 5,
        "nodes": ["node-a", "node-b"],
        "deviceUsage": {slot(name, index): text for index, text in enumerate(usage)},
    }
    return instance


def local(name: str) -> Manifest:
    """An Instance of a device that only node-a can see."""
    instance = created(name)
    instance["spec"]["shared"] = False
    instance["metadata"]["annotations"]["akri.sh/device-node"] = "node-a"
    return instance


def without_nodes(name: str) -> Manifest:
    """An Instance that nobody sees any more, not deleted yet."""
    instance = created(name)
    instance["spec"]["nodes"] = []
    return instance


def unreadable(name: str) -> Manifest:
    """An Instance with a usage text that only looks like node-b's; the controller frees such slots."""
    instance = shared(name)
    instance["spec"]["deviceUsage"][slot(name, 1)] = "C:node-a:cam-0:node-b"
    return instance


def upstreams(name: str) -> Manifest:
    """An Instance as upstream leaves it: no annotations, a finalizer for each node, no keys of free slots."""
    instance = shared(name)
    instance["metadata"] |= {"annotations": {}, "finalizers": ["akri.sh/node-a", "akri.sh/node-b"]}
    instance["spec"]["deviceUsage"] = {slot(name, 1): "node-a"}
    return instance


def report(name: str) -> Manifest:
    """The report of node-a on a Configuration. A report is named after both, so the Configuration's name is what differs."""
    return {
        "apiVersion": "akri.sh/v0",
        "kind": "DiscoveryReport",
        "metadata": {"name": f"{name}.node-a", "namespace": "default", "ownerReferences": [owner(name=name)]},
        "spec": {"configurationName": name, "nodeName": "node-a", "generation": 1, "handlers": [], "problems": []},
    }


def annotations_of(manifest: Manifest) -> Manifest:
    """The annotations of an object, made if it has none."""
    found: Manifest = manifest["metadata"].setdefault("annotations", {})
    return found


def together(*edits: Edit) -> Edit:
    """Several edits in one write."""

    def edit(manifest: Manifest) -> None:
        for each in edits:
            each(manifest)

    return edit


def edited(manifest: Manifest, edit: Edit) -> Manifest:
    """A changed copy."""
    copy = deepcopy(manifest)
    edit(copy)
    return copy
