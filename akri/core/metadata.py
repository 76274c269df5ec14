"""What every stored object carries, whatever the platform that stores it (Kubernetes' ObjectMeta, as far as Akri uses it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from attrs import field, frozen

from akri.core.ids import ObjectKey

__all__ = ["Json", "JsonObject", "ObjectMeta", "OwnerReference", "frozen_json", "frozen_texts"]

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A value as JSON has it. Pod, job and service specs are kept like this: Akri hands them through."""
JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object."""


def frozen_json(value: JsonObject) -> JsonObject:
    """Wrap a JSON object so that its top level cannot be changed by accident."""
    return MappingProxyType(dict(value))


def frozen_texts(value: Mapping[str, str]) -> Mapping[str, str]:
    """Copy into a mapping that cannot be changed, in the order as stored."""
    return MappingProxyType(dict(value))


@frozen
class OwnerReference:
    """The object that another one goes with; `controller` marks the one that manages it."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


@frozen
class ObjectMeta:
    """Identity and history of a stored object.

    uid: unique over all time; an object deleted and made again has another one.
    revision: grows with each change of this object; of two observations the one with the larger revision is later.
    On Kubernetes it is the resourceVersion as a number (comparable since KEP-5504).
    generation: grows with each change of the spec. created: seconds since the epoch, 0 where it is not known.
    deleting: a deletion was asked for and waits for finalizers.
    """

    key: ObjectKey
    uid: str = ""
    revision: int = 0
    generation: int = 0
    created: float = 0.0
    labels: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_texts, hash=False)
    annotations: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_texts, hash=False)
    finalizers: tuple[str, ...] = ()
    owners: tuple[OwnerReference, ...] = ()
    deleting: bool = False

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if it has one."""
        return next((owner for owner in self.owners if owner.controller), None)
