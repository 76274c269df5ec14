"""When a slot may be released: a pure function of observations and times (sharing.md, "Release needs evidence")."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName

__all__ = ["Listing", "PodObservation"]


def _counts(value: Mapping[ResourceName, int]) -> Mapping[ResourceName, int]:
    return MappingProxyType(dict(value))


@frozen
class PodObservation:
    """A pod of this node as its watch shows it.

    ended: its phase is terminal, or all its containers are terminated. requests: for each resource, how many devices
    it asks for: the larger of its biggest init container and the sum of its main containers and sidecars.
    """

    key: ObjectKey
    uid: str
    ended: bool = False
    requests: Mapping[ResourceName, int] = field(factory=dict, converter=_counts, hash=False)


@frozen
class Listing:
    """One answer of PodResources List: when it was asked for, and which pod uses which device ids of which resource."""

    sent_at: float
    users: Mapping[ResourceName, Mapping[PluginDeviceId, ObjectKey]] = field(factory=dict, hash=False)
