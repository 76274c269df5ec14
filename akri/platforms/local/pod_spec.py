"""Reads the parts of a Kubernetes PodSpec that this platform honours. Pure, and never raises.

A user wrote the spec, so anything may stand anywhere in it: what has the wrong type is treated as missing. What is ignored
or refused is told by pod_check.py.
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

__all__ = ["Container", "containers", "deadline_seconds", "expanded", "grace_seconds", "restart_policy", "texts", "whole_number"]

_REFERENCE: Final = re.compile(r"\$\$|\$\(([^()]+)\)")
_DEFAULT_GRACE: Final = 30.0
_LARGEST: Final = 10**9


def _counts(value: Mapping[ResourceName, int]) -> Mapping[ResourceName, int]:
    return dict(sorted(value.items()))


@frozen
class Container:
    """One container of a pod; `place` is where it stands in the spec: `containers[0]`.

    command: of a process, `command` and `args` one after the other. image, entry, arguments: of a container in a runtime; entry
    is empty for the image's own. init: it runs before the main ones. sidecar: an init container that goes on beside them.
    devices: how many devices of each resource it asks for. mounts: paths of the host that it needs.
    """

    name: str
    place: str = ""
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(factory=dict[str, str], converter=frozen_mapping, hash=False)
    working_directory: str = ""
    devices: Mapping[ResourceName, int] = field(factory=dict[ResourceName, int], converter=_counts, hash=False)
    init: bool = False
    sidecar: bool = False
    image: str = ""
    entry: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    pull: str = ""
    mounts: tuple[tuple[str, bool], ...] = ()


def containers(spec: JsonObject, fields: Mapping[str, str] | None = None) -> tuple[Container, ...]:
    """Read all containers, the init containers first, each in the order of the spec. fields: what `fieldRef` may refer to."""
    known = fields or {}
    init = [_container(f"initContainers[{index}]", item, known) for index, item in enumerate(json_objects(spec.get("initContainers")))]
    main = [_container(f"containers[{index}]", item, known) for index, item in enumerate(json_objects(spec.get("containers")))]
    return (*init, *main)


def grace_seconds(spec: JsonObject) -> float:
    """Seconds between the request to end and the kill: `terminationGracePeriodSeconds`, 30 by default."""
    return _DEFAULT_GRACE if (seconds := _seconds(spec.get("terminationGracePeriodSeconds"))) is None else seconds


def deadline_seconds(spec: JsonObject) -> float | None:
    """Seconds from the start of a pod or a job until it has failed; None: any time."""
    return _seconds(spec.get("activeDeadlineSeconds"))


def restart_policy(spec: JsonObject, container: Container) -> RestartPolicy:
    """Say when a container of the pod is started again: a sidecar always, an init container until it was successful once."""
    if container.sidecar:
        return RestartPolicy.ALWAYS
    value = spec.get("restartPolicy", RestartPolicy.ALWAYS.value)
    policy = next((policy for policy in RestartPolicy if policy.value == value), RestartPolicy.ALWAYS)
    return RestartPolicy.ON_FAILURE if container.init and policy is RestartPolicy.ALWAYS else policy


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


def texts(value: Json) -> tuple[str, ...]:
    """Read a list of texts."""
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return tuple(str(item) for item in items)


def _seconds(value: Json) -> float | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 else float(value)


def _container(place: str, item: JsonObject, fields: Mapping[str, str]) -> Container:
    init = place.startswith("init")
    command, arguments = texts(item.get("command")), texts(item.get("args"))
    return Container(
        name=str(item.get("name", "")),
        place=place,
        command=(*command, *arguments),
        environment=_environment(json_objects(item.get("env")), fields),
        working_directory=_text(item.get("workingDir")),
        devices=container_devices(item),
        init=init,
        sidecar=init and item.get("restartPolicy") == "Always",
        image=_text(item.get("image")),
        entry=command,
        arguments=arguments,
        pull=_text(item.get("imagePullPolicy")),
        mounts=tuple((_text(mount.get("mountPath")), mount.get("readOnly") is True) for mount in json_objects(item.get("volumeMounts"))),
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _environment(items: Iterable[JsonObject], fields: Mapping[str, str]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for item in items:
        name, value = item.get("name"), item.get("value", "")
        if "valueFrom" in item:
            path = json_object(json_object(item.get("valueFrom")).get("fieldRef")).get("fieldPath")
            known = fields.get(path) if isinstance(path, str) else None
            if isinstance(name, str) and known is not None:
                environment[name] = known
        elif isinstance(name, str) and isinstance(value, str):
            environment[name] = expanded(value, environment)
    return environment
