"""What the tests of inventory have in common: sample objects and short ways to make them."""

from __future__ import annotations

from collections.abc import Mapping

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.ids import ConfigurationName, DeviceId, HandlerName, InstanceName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.inventory import reconcile
from akri.core.inventory_commands import (
    NOTHING,
    Reconciliation,
)
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.presence import Presence

A, B = NodeName("node-a"), NodeName("node-b")
HANDLER = "unix:/handler.sock"
TWINS = ("camera-9752", "camera-11047")  # one 3-byte digest: 6a1ec6
LOCAL_TWINS = ("usb-1879", "usb-2703")  # one 3-byte digest on node-a: a5b95d


def configuration(
    name: str = "cameras", *, uid: str = "uid-1", generation: int = 3, capacity: int = 2, grace: str = "300"
) -> Configuration:
    metadata = ObjectMeta(ObjectKey("default", name), uid=uid, generation=generation, annotations={"akri.sh/grace": grace})
    return Configuration(metadata, DiscoveryRequest(HandlerName("onvif")), capacity=capacity, broker_properties={"MODE": "fast"})


CAMERAS = configuration()


def device(id_: str = "foo0", **properties: str) -> Device:
    return Device(DeviceId(id_), properties)


def instance(
    id_: str | None = "foo0",
    *,
    name: str = "cameras-8120fe",
    nodes: tuple[str, ...] = ("node-a",),
    usage: Mapping[str, str] | None = None,
    local: str | None = None,
    owner: str | None = "uid-1",
    created: float = 50.0,
    generation: int | None = 3,
    capacity: int = 2,
    properties: Mapping[str, str] | None = None,
    deleting: bool = False,
    namespace: str = "default",
) -> Instance:
    stamp = None if generation is None else str(generation)
    notes = {"akri.sh/device-id": id_, "akri.sh/device-node": local, "akri.sh/configuration-generation": stamp}
    owners = (OwnerReference("akri.sh/v0", "Configuration", "cameras", owner, controller=True),) if owner else ()
    free = {f"{name}-{index}": "" for index in range(capacity)}
    return Instance(
        metadata=ObjectMeta(
            ObjectKey(namespace, name),
            uid=f"uid-of-{name}",
            revision=7,
            created=created,
            annotations={key: text for key, text in notes.items() if text is not None},
            owners=owners,
            deleting=deleting,
        ),
        configuration=ConfigurationName("cameras"),
        cdi_name=f"akri.sh/cameras={name.rpartition('-')[2]}",
        capacity=capacity,
        shared=local is None,
        nodes=tuple(NodeName(node) for node in nodes),
        device_usage=free if usage is None else usage,
        broker_properties={"MODE": "fast"} if properties is None else properties,
    )


def seeing(*devices: Device, shared: bool = True, start: float = 0.0, now: float = 10.0) -> Presence:
    return Presence.begin(start).registered(HANDLER, shared=shared).answered(HANDLER, devices, now)


def decide(
    presence: Presence, *published: Instance, now: float = 100.0, node: NodeName = A, before: Reconciliation = NOTHING
) -> Reconciliation:
    return reconcile(CAMERAS, node, presence, published, now, before)


def key(name: str = "cameras-8120fe") -> ObjectKey:
    return ObjectKey("default", name)


NAME = InstanceName("cameras-8120fe")
LEAVING = "uid-of-cameras-8120fe"


# Appear
