"""What a discovery handler answers. Embedded handlers and those in processes of their own look the same from here on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from akri.core.device import Device
from akri.core.errors import Problem
from akri.core.ids import DeviceId

__all__ = ["Snapshot", "SourceReport"]


def _counts(value: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(sorted(value.items())))


@frozen
class SourceReport:
    """Why a device is not there: candidates looked at, reason -> how many it dropped, and one sentence or ""."""

    candidates: int = 0
    dropped: Mapping[str, int] = field(factory=dict[str, int], converter=_counts, hash=False)
    message: str = ""


@frozen
class Snapshot:
    """All devices that a handler sees now, never a difference.

    gone_ids: devices of the former snapshot whose absence is certain (removed by the kernel), so that no grace applies.
    problems: devices of the answer that could not be read, or are not allowed to be here, and are not in `devices`.
    Duplicate ids and strange properties pass through: one place in core judges them for all handlers.
    """

    devices: tuple[Device, ...] = ()
    report: SourceReport | None = None
    gone_ids: tuple[DeviceId, ...] = ()
    problems: tuple[Problem, ...] = ()
