"""The three CustomResourceDefinitions as data: what the API server holds objects to (compat.md, sharing.md).

What upstream's schemas accept these accept too, within the bounds that CEL needs; everything beyond that is judged by
`codec` and reported in a condition. They differ by the status subresource, the bounds, and the rules for what never changes.
"""

from __future__ import annotations

from typing import Final

from akri.core.configuration import MAXIMUM_CAPACITY
from akri.core.device import MAXIMUM_PROPERTIES, MAXIMUM_TEXT
from akri.core.metadata import Json, JsonObject
from akri.core.properties import PATTERN_PROPERTY_NAME

__all__ = [
    "ANNOTATION_SCHEMA_VERSION",
    "MAXIMUM_NODES",
    "SCHEMA_VERSION",
    "configuration_crd",
    "custom_resource_definitions",
    "instance_crd",
    "report_crd",
]

MAXIMUM_NODES: Final = 1000
"""Nodes of one Instance; CEL needs a bound."""
SCHEMA_VERSION: Final = 1
"""Grows with each change of a schema that an older or newer program has to know of."""
ANNOTATION_SCHEMA_VERSION: Final = "akri.sh/schema-version"
"""Annotation on each CustomResourceDefinition: the SCHEMA_VERSION it was made with."""

_GROUP: Final = "akri.sh"
_AGE: Final[JsonObject] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_TEXT: Final[JsonObject] = {"type": "string"}
_BOUNDED_TEXT: Final[JsonObject] = {"type": "string", "maxLength": MAXIMUM_TEXT}
_FLAG: Final[JsonObject] = {"type": "boolean"}
_WHOLE: Final[JsonObject] = {"type": "integer"}
_COUNT: Final[JsonObject] = {"type": "integer", "minimum": 0}
_TIME: Final[JsonObject] = {"type": "string", "format": "date-time"}
_OPAQUE: Final[JsonObject] = {"type": "object", "nullable": True, "x-kubernetes-preserve-unknown-fields": True}
_BROKER_PROPERTIES: Final[JsonObject] = {
    "type": "object",
    "maxProperties": MAXIMUM_PROPERTIES,
    "additionalProperties": _BOUNDED_TEXT,
}


def _object(properties: JsonObject, required: tuple[str, ...] = (), **more: Json) -> JsonObject:
    schema: dict[str, Json] = {"type": "object", "properties": properties, **more}
    return schema | {"required": list(required)} if required else schema


def _described(schema: JsonObject, description: str) -> JsonObject:
    return {"description": description, **schema}


def _one_of(*names: str) -> Json:
    return [{"required": [name]} for name in names]


def _never_changing(schema: JsonObject, name: str) -> JsonObject:
    rule: JsonObject = {"rule": "self == oldSelf", "message": f"{name} never changes"}
    return {**schema, "x-kubernetes-validations": [rule]}


def _definition(kind: str, short_name: str, categories: tuple[str, ...], version: JsonObject) -> JsonObject:
    singular = kind.lower()
    names: JsonObject = {
        "kind": kind,
        "plural": f"{singular}s",
        "singular": singular,
        "shortNames": [short_name],
        "categories": list(categories),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{_GROUP}", "annotations": {ANNOTATION_SCHEMA_VERSION: str(SCHEMA_VERSION)}},
        "spec": {
            "group": _GROUP,
            "scope": "Namespaced",
            "names": names,
            "versions": [{"name": "v0", "served": True, "storage": True, **version}],
        },
    }


def _schema(properties: JsonObject, required: tuple[str, ...] = ()) -> JsonObject:
    return {"openAPIV3Schema": _object(properties, required)}


def _column(name: str, kind: str, path: str, description: str) -> JsonObject:
    return {"name": name, "type": kind, "jsonPath": path, "description": description}


def configuration_crd() -> JsonObject:
    """Return the definition of `configurations.akri.sh`."""
    return _definition(
        "Configuration",
        "akric",
        ("all",),
        {
            "additionalPrinterColumns": [
                _column("Capacity", "string", ".spec.capacity", "Slots of each Instance"),
                _AGE,
            ],
            "subresources": {"status": {}},
            "schema": _schema({"spec": _configuration_spec(), "status": _configuration_status()}),
        },
    )


def _configuration_spec() -> JsonObject:
    broker = _object({"brokerPodSpec": _OPAQUE, "brokerJobSpec": _OPAQUE})
    handler = _object(
        {
            "name": _TEXT,
            "discoveryDetails": _described(_TEXT, "What to look for: YAML that the discovery handler reads"),
            "discoveryProperties": {"type": "array", "nullable": True, "items": _discovery_property()},
        }
    )
    return _object(
        {
            "discoveryHandler": handler,
            "capacity": _described(_WHOLE, f"Slots of each Instance, 1 to {MAXIMUM_CAPACITY}"),
            "brokerSpec": _described(broker, "What to run for each device: a pod for each node, or one job, or nothing"),
            "instanceServiceSpec": _OPAQUE,
            "configurationServiceSpec": _OPAQUE,
            "brokerProperties": _described(_BROKER_PROPERTIES, "Environment of every broker, overlaid on its device's properties"),
        }
    )


def _discovery_property() -> JsonObject:
    reference = _object({"name": _TEXT, "key": _TEXT, "namespace": _TEXT, "optional": _FLAG}, ("name",))
    source = _object(
        {"secretKeyRef": reference, "configMapKeyRef": reference},
        oneOf=_one_of("secretKeyRef", "configMapKeyRef"),
    )
    return _object(
        {
            "name": {"type": "string", "pattern": PATTERN_PROPERTY_NAME},
            "value": {"type": "string", "nullable": True},
            "valueFrom": source,
        },
        ("name",),
        oneOf=_one_of("value", "valueFrom"),
    )


def _configuration_status() -> JsonObject:
    condition = _object(
        {
            "type": _TEXT,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": _TEXT,
            "message": _TEXT,
            "lastTransitionTime": _TIME,
            "observedGeneration": _COUNT,
        },
        ("type", "status"),
    )
    conditions: JsonObject = {
        "type": "array",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    counters = dict.fromkeys(("observedGeneration", "instances", "nodes", "brokers", "brokersReady"), _COUNT)
    return _object({**counters, "conditions": conditions})


def instance_crd() -> JsonObject:
    """Return the definition of `instances.akri.sh`."""
    return _definition(
        "Instance",
        "akrii",
        ("all",),
        {
            "additionalPrinterColumns": [
                _column("Config", "string", ".spec.configurationName", "The Configuration this Instance belongs to"),
                _column("Shared", "boolean", ".spec.shared", "Whether several nodes can reach the device"),
                _column("Nodes", "string", ".spec.nodes", "Nodes that see the device"),
                _AGE,
            ],
            "schema": _schema({"spec": _instance_spec()}, ("spec",)),
        },
    )


def _instance_spec() -> JsonObject:
    nodes: JsonObject = {
        "type": "array",
        "default": [],
        "maxItems": MAXIMUM_NODES,
        "items": _BOUNDED_TEXT,
        "x-kubernetes-list-type": "set",
    }
    device_usage: JsonObject = {
        "type": "object",
        "default": {},
        "maxProperties": MAXIMUM_CAPACITY,
        "additionalProperties": _BOUNDED_TEXT,
        "x-kubernetes-map-type": "granular",
    }
    return _object(
        {
            "configurationName": _never_changing(_BOUNDED_TEXT, "configurationName"),
            "cdiName": _never_changing(_BOUNDED_TEXT, "cdiName"),
            "capacity": _described({**_COUNT, "maximum": MAXIMUM_CAPACITY}, "Number of slots"),
            "shared": _never_changing({**_FLAG, "default": False}, "shared"),
            "nodes": _described(nodes, "Nodes that see the device, in the order of joining; the first reports on it"),
            "deviceUsage": _described(device_usage, "Who holds each slot: '', '<node>' or 'C:<virtual device id>:<node>'"),
            "brokerProperties": {**_BROKER_PROPERTIES, "default": {}},
        },
        ("capacity", "cdiName", "configurationName"),
    )


def report_crd() -> JsonObject:
    """Return the definition of `discoveryreports.akri.sh`."""
    return _definition(
        "DiscoveryReport",
        "akrir",
        (),
        {
            "additionalPrinterColumns": [
                _column("Config", "string", ".spec.configurationName", "The Configuration that the report is about"),
                _column("Node", "string", ".spec.nodeName", "The node that reports"),
                _column("Written", "date", ".spec.writtenAt", "The last sign of life"),
            ],
            "schema": _schema({"spec": _report_spec()}, ("spec",)),
        },
    )


def _report_spec() -> JsonObject:
    handler = _object(
        {
            "name": _TEXT,
            "endpoint": _TEXT,
            "askedAt": _TIME,
            "answeredAt": _TIME,
            "devices": _COUNT,
            "candidates": _COUNT,
            "dropped": {"type": "object", "additionalProperties": _COUNT},
            "message": _TEXT,
            "error": _TEXT,
            "reason": _TEXT,
        },
        ("name",),
    )
    kept = _object({"deviceId": _TEXT, "instance": _TEXT, "until": _TIME, "misses": _COUNT, "why": _TEXT})
    return _object(
        {
            "configurationName": _never_changing(_BOUNDED_TEXT, "configurationName"),
            "configurationUid": _TEXT,
            "nodeName": _never_changing(_BOUNDED_TEXT, "nodeName"),
            "generation": _COUNT,
            "writtenAt": _TIME,
            "handlers": {"type": "array", "items": handler},
            "problems": {"type": "array", "items": _TEXT},
            "kept": {"type": "array", "items": kept},
        },
        ("configurationName", "nodeName"),
    )


def custom_resource_definitions() -> tuple[JsonObject, ...]:
    """Return all definitions, in the order in which to apply them."""
    return (configuration_crd(), instance_crd(), report_crd())
