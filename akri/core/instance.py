"""An Instance: one device as all nodes see it. Raw as stored; `slots.SlotTable` is the reading of its deviceUsage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey
from akri.core.metadata import ObjectMeta, frozen_texts

__all__ = [
    "ANNOTATION_DEVICE_ID",
    "ANNOTATION_DEVICE_NODE",
    "ANNOTATION_FENCE",
    "ANNOTATION_GENERATION",
    "Instance",
]

ANNOTATION_DEVICE_ID: Final = "akri.sh/device-id"
"""Annotation on an Instance: the device's id."""
ANNOTATION_DEVICE_NODE: Final = "akri.sh/device-node"
"""Annotation on an Instance of a device that is not shared: the node it belongs to."""
ANNOTATION_GENERATION: Final = "akri.sh/configuration-generation"
"""Annotation on an Instance: generation of the Configuration that its capacity and properties were written from."""
ANNOTATION_FENCE: Final = "akri.sh/fence"
"""Annotation on an Instance: any value; changing it makes writes that were sent earlier fail (sharing.md)."""


@frozen
class Instance:
    """One device (compat.md, `instances.akri.sh`).

    nodes: who sees it, in the order of joining; the first is the reporter. device_usage: slot key -> usage text, as
    stored: keys may be missing (upstream drops those of free slots) or unreadable. cdi_name: text, as stored.
    """

    metadata: ObjectMeta
    configuration: ConfigurationName
    cdi_name: str
    capacity: int
    shared: bool = False
    nodes: tuple[NodeName, ...] = ()
    device_usage: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_texts, hash=False)
    broker_properties: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_texts, hash=False)

    @property
    def key(self) -> ObjectKey:
        """Namespace and name."""
        return self.metadata.key

    @property
    def name(self) -> InstanceName:
        """The name alone."""
        return InstanceName(self.metadata.key.name)

    @property
    def owner_uid(self) -> str | None:
        """Uid of the Configuration that controls it, None where upstream or a user left none."""
        owner = self.metadata.controller
        return owner.uid if owner else None

    @property
    def device_id(self) -> str | None:
        """The device's id, None where upstream made the Instance."""
        return self.metadata.annotations.get(ANNOTATION_DEVICE_ID)

    @property
    def device_node(self) -> str | None:
        """The node that a device that is not shared belongs to."""
        return self.metadata.annotations.get(ANNOTATION_DEVICE_NODE)

    @property
    def generation_seen(self) -> int:
        """Generation of the Configuration it was written from; 0 where the annotation is missing or unreadable."""
        text = self.metadata.annotations.get(ANNOTATION_GENERATION, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
