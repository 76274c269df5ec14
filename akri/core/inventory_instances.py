"""What an Instance has to look like: the complete object that a node creates, and what its reporter writes into it later.

`inventory` decides who creates and who writes; here is what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from akri.core.configuration import Configuration
from akri.core.device import Device, Local, Scope
from akri.core.edits import merged_properties
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import ANNOTATION_DEVICE_ID, ANNOTATION_DEVICE_NODE, ANNOTATION_GENERATION, Instance
from akri.core.inventory_commands import Update
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.naming import cdi_name, instance_name
from akri.core.slots import SlotTable
from akri.core.usage import FREE, print_usage

__all__ = ["API_VERSION", "holds_slots", "instance_update", "new_instance", "only_claimed"]

API_VERSION: Final = "akri.sh/v0"
"""Group and version of Configurations, as an owner reference carries it."""
_FREE: Final = print_usage(FREE)


def new_instance(configuration: Configuration, node: NodeName, device: Device, scope: Scope, device_digest: str) -> Instance:
    """Return the complete Instance of a device that `node` is the first to see, named by the digest, with every slot free."""
    name = instance_name(configuration.name, device_digest)
    owner = OwnerReference(API_VERSION, "Configuration", configuration.name, configuration.metadata.uid, controller=True)
    key = ObjectKey(configuration.key.namespace, name)
    local = scope.node if isinstance(scope, Local) else None
    return Instance(
        metadata=ObjectMeta(key, annotations=_annotations(configuration, device, local), owners=(owner,)),
        configuration=configuration.name,
        cdi_name=str(cdi_name(configuration.name, device_digest)),
        capacity=configuration.capacity,
        shared=local is None,
        nodes=(node,),
        device_usage={str(SlotId(name, index)): _FREE for index in range(configuration.capacity)},
        broker_properties=merged_properties(device, configuration),
    )


def instance_update(instance: Instance, configuration: Configuration, device: Device) -> Update | None:
    """Return what the reporter, which is `nodes[0]`, has to write; None if nothing.

    An Instance that was written from a later generation of the Configuration than is known here is left alone.
    """
    if instance.generation_seen > configuration.metadata.generation:
        return None
    local = None if instance.shared else instance.nodes[0]
    annotations = {**instance.metadata.annotations, **_annotations(configuration, device, local)}
    usage = _usage(instance, configuration.capacity)
    properties = merged_properties(device, configuration)
    differs = {
        "capacity": instance.capacity != configuration.capacity,
        "deviceUsage": instance.device_usage != usage,
        "brokerProperties": instance.broker_properties != properties,
        "annotations": instance.metadata.annotations != annotations,
    }
    changes = tuple(name for name, changed in differs.items() if changed)
    if not changes:
        return None
    wanted = evolve(
        instance,
        metadata=evolve(instance.metadata, annotations=annotations),
        capacity=configuration.capacity,
        device_usage=usage,
        broker_properties=properties,
    )
    return Update(wanted, changes)


def only_claimed(before: Instance, after: Instance) -> bool:
    """Tell whether slots were taken between two states of an Instance and nothing else happened: then `reconcile` has no new answer."""
    metadata = evolve(after.metadata, revision=before.metadata.revision, generation=before.metadata.generation)
    if evolve(after, metadata=metadata, device_usage=before.device_usage) != before:
        return False
    if before.device_usage.keys() != after.device_usage.keys():
        return False
    return all(text == after.device_usage[key] or not text for key, text in before.device_usage.items())


def holds_slots(instance: Instance, node: NodeName) -> bool:
    """Tell whether `node` holds a slot of the Instance."""
    named = any(text.endswith(node) for text in instance.device_usage.values())  # most of the time this settles it, cheaply
    return named and any(True for _ in SlotTable.read(instance, node).held())


def _annotations(configuration: Configuration, device: Device, local: NodeName | None) -> dict[str, str]:
    node = {} if local is None else {ANNOTATION_DEVICE_NODE: str(local)}
    return {ANNOTATION_DEVICE_ID: str(device.id), ANNOTATION_GENERATION: str(configuration.metadata.generation), **node}


def _usage(instance: Instance, capacity: int) -> Mapping[str, str]:
    # Keys that are there stay as they are, but free ones beyond the capacity, which go (sharing.md, step 7). What nobody can
    # read is the controller's.
    table = SlotTable.read(instance, NodeName(""))
    surplus = {str(SlotId(instance.name, index)) for index, usage in table.usages.items() if index >= capacity and usage == FREE}
    missing = {str(SlotId(instance.name, index)): _FREE for index in range(capacity)}
    return {key: text for key, text in {**missing, **instance.device_usage}.items() if key not in surplus}
