"""Instances as tests of slots and allocation write them: usage texts in, an Instance out."""

from __future__ import annotations

from collections.abc import Mapping

from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.slots import SlotTable

A, B = NodeName("node-a"), NodeName("node-b")
CAM = ConfigurationName("cam")
ONE, TWO, THREE = InstanceName("cam-1"), InstanceName("cam-2"), InstanceName("cam-3")


def instance(
    *texts: str, name: str = ONE, capacity: int | None = None, revision: int = 1, uid: str = "uid", extra: Mapping[str, str] | None = None
) -> Instance:
    """Make an Instance whose slots hold these usage texts; capacity is their number unless told."""
    usage = {f"{name}-{index}": text for index, text in enumerate(texts)} | dict(extra or {})
    metadata = ObjectMeta(ObjectKey("default", name), uid, revision)
    return Instance(metadata, CAM, f"akri.sh/cam={name}", len(texts) if capacity is None else capacity, shared=True, device_usage=usage)


def table(*texts: str, name: str = ONE, capacity: int | None = None, revision: int = 1, node: NodeName = A) -> SlotTable:
    """Read such an Instance as a node sees it."""
    return SlotTable.read(instance(*texts, name=name, capacity=capacity, revision=revision), node)
