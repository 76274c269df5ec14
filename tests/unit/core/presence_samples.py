"""What the tests of presence have in common: sample objects and short ways to make them."""

from __future__ import annotations

from akri.core.device import Device, Local, Shared, Sighting
from akri.core.ids import DeviceId, NodeName, ObjectKey
from akri.core.presence import Presence

A = "unix:/a.sock"
B = "http://10.0.0.2:10000"
CAMERAS = ObjectKey("default", "cameras")
GRACE = 300.0


def device(id_: str, **properties: str) -> Device:
    return Device(DeviceId(id_), properties)


def looking(*, shared: bool = True, addresses: tuple[str, ...] = (A,), now: float = 100.0) -> Presence:
    presence = Presence.begin(now)
    for address in addresses:
        presence = presence.registered(address, shared=shared)
    return presence


def remembering(*devices: Device, shared: bool, now: float = 100.0) -> Presence:
    scope = Shared() if shared else Local(NodeName("node-a"))
    return Presence.begin(now, [Sighting(one, CAMERAS, scope) for one in devices])


ONE, TWO = device("one", X="1"), device("two")


# Not asked yet, asked, lost
