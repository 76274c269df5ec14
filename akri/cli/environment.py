"""The environment that a broker gets with a device, and who sets what of it. Pure.

It is composed by the same function as at Allocate, from what the Instance shows; a node may know a newer state of the device.
Values that come from a Secret or a ConfigMap are named by their place, never by what is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from akri.core.configuration import Configuration, JobBroker, PodBroker
from akri.core.device import Device
from akri.core.edits import container_edits
from akri.core.ids import DeviceId
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.naming import environment_suffix
from akri.platforms.pod_requests import json_object, json_objects

__all__ = ["Variable", "containers_of", "environment"]

_PLACES: Final = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}


@frozen
class Variable:
    """One variable. value: None where it is not known here, or not to be shown. by: who sets it. place: where the value comes from."""

    name: str
    value: str | None
    by: str
    place: str = ""


def environment(instance: Instance, configuration: Configuration | None, container: str = "") -> tuple[Variable, ...]:
    """Give what a broker's container gets, in the order of the names.

    configuration: the Instance's, None where it is gone or cannot be read. container: a name; "" for the first one.
    """
    device = Device(DeviceId(instance.device_id or instance.name), instance.broker_properties)
    given = container_edits([(instance.name, device, {})]).environment
    found = {name: Variable(name, value, _giver(name, instance, configuration)) for name, value in given.items()}
    for variable in _own(configuration, container):
        found[variable.name] = variable
    return tuple(found[name] for name in sorted(found))


def containers_of(configuration: Configuration | None) -> tuple[JsonObject, ...]:
    """Give the containers of the broker that a Configuration asks for."""
    match configuration.broker if configuration else None:
        case PodBroker(spec):
            return tuple(json_objects(spec.get("containers")))
        case JobBroker(spec):
            template = json_object(json_object(spec.get("template")).get("spec"))
            return tuple(json_objects(template.get("containers")))
        case _:
            return ()


def _giver(name: str, instance: Instance, configuration: Configuration | None) -> str:
    if configuration is None:
        return "the device, or its Configuration"
    suffix = f"_{environment_suffix(instance.name)}"
    own = configuration.broker_properties
    if name in own or (name.removesuffix(suffix) in own and name not in instance.broker_properties):
        return f"Configuration {configuration.key.name}, brokerProperties"
    return f"the device, through {configuration.discovery.handler}"


def _own(configuration: Configuration | None, container: str) -> Iterator[Variable]:
    for item in containers_of(configuration):
        name = str(item.get("name", ""))
        if not container or name == container:
            yield from _variables(item, name)
            return


def _variables(container: JsonObject, name: str) -> Iterator[Variable]:
    by = f"container {name} of the broker"
    for item in json_objects(container.get("env")):
        variable, value = item.get("name"), item.get("value", "")
        if isinstance(variable, str) and variable:
            place = _place(item.get("valueFrom"))
            shown = value if isinstance(value, str) and not place else None
            yield Variable(variable, shown, by, place)


def _place(value_from: Json) -> str:
    if not isinstance(value_from, Mapping):
        return ""
    for name, kind in _PLACES.items():
        if name in value_from:
            reference = json_object(value_from[name])
            return f"{kind} {reference.get('name', '-')}, key {reference.get('key', '-')}"
    return ", ".join(str(name) for name in value_from) or "somewhere else"
