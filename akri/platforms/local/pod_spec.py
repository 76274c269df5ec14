"""Reads the parts of a Kubernetes PodSpec that this platform honours, and names those it does not. Pure, and never raises.

A user wrote the spec, so anything may stand anywhere in it: what has the wrong type is treated as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from akri.core.device import frozen_mapping
from akri.core.ids import ResourceName
from akri.core.metadata import Json, JsonObject
from akri.platforms.local.restarts import RestartPolicy
from akri.platforms.pod_requests import container_devices, json_object, json_objects

__all__ = ["Container", "containers", "expanded", "grace_seconds", "ignored_fields", "restart_policy", "whole_number"]

_HONOURED_OF_POD: Final = frozenset(
    {"affinity", "containers", "enableServiceLinks", "initContainers", "nodeName", "restartPolicy", "terminationGracePeriodSeconds"}
)
_HONOURED_OF_CONTAINER: Final = frozenset(
    {"args", "command", "env", "image", "imagePullPolicy", "name", "ports", "resources", "restartPolicy", "workingDir"}
)
_REFERENCE: Final = re.compile(r"\$\$|\$\(([^()]+)\)")
_DEFAULT_GRACE: Final = 30.0
_LARGEST: Final = 10**9


def _counts(value: Mapping[ResourceName, int]) -> Mapping[ResourceName, int]:
    return dict(sorted(value.items()))


@frozen
class Container:
    """One container of a pod; `place` is where it stands in the spec: `containers[0]`.

    init: it runs before the main ones. sidecar: an init container that goes on beside them. devices: how many devices of
    each resource it asks for.
    """

    name: str
    place: str = ""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    working_directory: str = ""
    devices: Mapping[ResourceName, int] = field(factory=dict[ResourceName, int], converter=_counts, hash=False)
    init: bool = False
    sidecar: bool = False


def containers(spec: JsonObject) -> tuple[Container, ...]:
    """Read all containers, the init containers first, each in the order of the spec."""
    init = [_container(f"initContainers[{index}]", item) for index, item in enumerate(json_objects(spec.get("initContainers")))]
    main = [_container(f"containers[{index}]", item) for index, item in enumerate(json_objects(spec.get("containers")))]
    return (*init, *main)


def grace_seconds(spec: JsonObject) -> float:
    """Seconds between the request to end and the kill: `terminationGracePeriodSeconds`, 30 by default."""
    value = spec.get("terminationGracePeriodSeconds")
    return _DEFAULT_GRACE if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 else float(value)


def restart_policy(spec: JsonObject, container: Container) -> RestartPolicy:
    """Say when a container of the pod is started again: a sidecar always, an init container until it was successful once."""
    if container.sidecar:
        return RestartPolicy.ALWAYS
    value = spec.get("restartPolicy", RestartPolicy.ALWAYS.value)
    policy = next((policy for policy in RestartPolicy if policy.value == value), RestartPolicy.ALWAYS)
    return RestartPolicy.ON_FAILURE if container.init and policy is RestartPolicy.ALWAYS else policy


def ignored_fields(spec: JsonObject) -> tuple[str, ...]:
    """Name each field that is set and that this platform does not honour, as a path within the PodSpec."""
    ignored = [name for name in spec if name not in _HONOURED_OF_POD]
    for place in ("initContainers", "containers"):
        for index, item in enumerate(json_objects(spec.get(place))):
            ignored.extend(f"{place}[{index}].{name}" for name in _ignored_of_container(item))
    return tuple(sorted(ignored))


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as Kubernetes does: an unknown name stays as it is, `$$` is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else environment.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def whole_number(value: Json, default: int = 0) -> int:
    """Read a count as resources have it, a number or its text; the default for anything else, and for a negative one."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST else default


def _container(place: str, item: JsonObject) -> Container:
    init = place.startswith("init")
    working_directory = item.get("workingDir")
    return Container(
        name=str(item.get("name", "")),
        place=place,
        command=(*_texts(item.get("command")), *_texts(item.get("args"))),
        environment=_environment(json_objects(item.get("env"))),
        working_directory=working_directory if isinstance(working_directory, str) else "",
        devices=container_devices(item),
        init=init,
        sidecar=init and item.get("restartPolicy") == "Always",
    )


def _environment(items: Iterable[JsonObject]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for item in items:
        name, value = item.get("name"), item.get("value", "")
        if isinstance(name, str) and isinstance(value, str) and "valueFrom" not in item:
            environment[name] = expanded(value, environment)
    return environment


def _ignored_of_container(item: JsonObject) -> list[str]:
    ignored = [name for name in item if name not in _HONOURED_OF_CONTAINER]
    ignored.extend(f"env[{index}].valueFrom" for index, variable in enumerate(json_objects(item.get("env"))) if "valueFrom" in variable)
    limits = json_object(json_object(item.get("resources")).get("limits"))
    ignored.extend(f"resources.limits.{name}" for name in limits if "/" not in name)
    return ignored


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in _sequence(value))


def _sequence(value: Json) -> Sequence[Json]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()
