"""How many devices a Kubernetes PodSpec asks for. Pure, and never raises: what has the wrong type is treated as missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from akri.core.ids import ResourceName
from akri.core.metadata import Json, JsonObject

__all__ = ["container_devices", "device_count", "device_requests", "json_object", "json_objects"]

_QUANTITY: Final = re.compile(r"\+?([0-9]{1,10})(k|M|Ki|Mi)?")
_FACTORS: Final[Mapping[str | None, int]] = {None: 1, "k": 1000, "M": 1000**2, "Ki": 1024, "Mi": 1024**2}
_LARGEST: Final = 10**9


def device_count(value: Json) -> int:
    """Read a number of devices, a number or a Kubernetes quantity (the API server prints 1000 as `1k`); 0 for anything else."""
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value) if value.isascii() else None
        value = int(match[1]) * _FACTORS[match[2]] if match else 0
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST else 0


def container_devices(container: JsonObject) -> dict[ResourceName, int]:
    """Count the devices that one container asks for: of each resource whose name has a domain."""
    resources = json_object(container.get("resources"))
    devices = {**json_object(resources.get("requests")), **json_object(resources.get("limits"))}
    return {ResourceName(name): device_count(count) for name, count in devices.items() if "/" in name}


def device_requests(spec: JsonObject) -> dict[ResourceName, int]:
    """Count the devices that the pod can have at one time, as a scheduler does (KEP-753).

    That is the larger of the sum of its main containers and sidecars, and what any of its init containers has beside the
    sidecars that started before it.
    """
    most: dict[ResourceName, int] = {}
    lasting: dict[ResourceName, int] = {}
    init = [(item, item.get("restartPolicy") == "Always") for item in json_objects(spec.get("initContainers"))]
    for container, lasts in (*init, *((item, True) for item in json_objects(spec.get("containers")))):
        for resource, count in container_devices(container).items():
            at_once = lasting.get(resource, 0) + count
            most[resource] = max(most.get(resource, 0), at_once)
            if lasts:
                lasting[resource] = at_once
    return most


def json_object(value: Json) -> JsonObject:
    """Return a JSON object, an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def json_objects(value: Json) -> tuple[JsonObject, ...]:
    """Return the JSON objects of a list; nothing for anything else."""
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return tuple(item for item in items if isinstance(item, Mapping))
