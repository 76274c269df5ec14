"""Values as JSON, as the API server and users see them: the way back from `codec`.

What only the server writes (deletionTimestamp) is not printed. Fields of metadata that say nothing are left out.
The result is plain dictionaries and lists, ready for `json.dumps`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, assert_never

from akri.core.configuration import BrokerSpec, Configuration, JobBroker, NoBroker, PodBroker
from akri.core.ids import ConfigurationName
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta, OwnerReference
from akri.core.naming import report_name
from akri.core.properties import DiscoveryProperty, FromConfigMap, FromSecret, Literal
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, HandlerReport, KeptDevice

__all__ = ["API_VERSION", "print_configuration", "print_instance", "print_owner", "print_report", "print_status"]

API_VERSION: Final = "akri.sh/v0"
"""Group and version of all our kinds."""


def print_configuration(configuration: Configuration) -> JsonObject:
    """Print a Configuration, without its status."""
    request = configuration.discovery
    handler: dict[str, Json] = {"name": request.handler, "discoveryDetails": request.details}
    if request.properties:
        handler["discoveryProperties"] = [_property(item) for item in request.properties]
    spec: dict[str, Json] = {"discoveryHandler": handler, "capacity": configuration.capacity}
    if broker := _broker(configuration.broker):
        spec["brokerSpec"] = broker
    services = {"instanceServiceSpec": configuration.instance_service, "configurationServiceSpec": configuration.configuration_service}
    spec |= {name: dict(service) for name, service in services.items() if service is not None}
    spec["brokerProperties"] = dict(configuration.broker_properties)
    return {"apiVersion": API_VERSION, "kind": "Configuration", "metadata": _metadata(configuration.metadata), "spec": spec}


def print_instance(instance: Instance) -> JsonObject:
    """Print an Instance."""
    spec: dict[str, Json] = {
        "configurationName": instance.configuration,
        "cdiName": instance.cdi_name,
        "capacity": instance.capacity,
        "shared": instance.shared,
        "nodes": list(instance.nodes),
        "deviceUsage": dict(instance.device_usage),
        "brokerProperties": dict(instance.broker_properties),
    }
    return {"apiVersion": API_VERSION, "kind": "Instance", "metadata": _metadata(instance.metadata), "spec": spec}


def print_report(report: DiscoveryReport) -> JsonObject:
    """Print a DiscoveryReport; it goes with its Configuration, which owns it."""
    name = ConfigurationName(report.configuration.name)
    owner = OwnerReference(API_VERSION, "Configuration", name, report.configuration_uid, controller=True)
    spec: dict[str, Json] = {
        "configurationName": name,
        "configurationUid": report.configuration_uid,
        "nodeName": report.node,
        "generation": report.generation,
        "writtenAt": _time(report.written_at),
        "handlers": [_handler(handler) for handler in report.handlers],
        "problems": list(report.problems),
        "kept": [_kept(device) for device in report.kept],
    }
    metadata: dict[str, Json] = {
        "name": report_name(name, report.node),
        "namespace": report.configuration.namespace,
        "ownerReferences": [print_owner(owner)],
    }
    return {"apiVersion": API_VERSION, "kind": "DiscoveryReport", "metadata": metadata, "spec": spec}


def print_status(status: ConfigurationStatus) -> JsonObject:
    """Print the status of a Configuration, conditions as the Kubernetes API conventions have them."""
    return {
        "observedGeneration": status.generation,
        "conditions": [_condition(condition, status.generation) for condition in status.conditions],
        "instances": status.instances,
        "nodes": status.nodes,
        "brokers": status.brokers,
        "brokersReady": status.brokers_ready,
    }


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def _metadata(metadata: ObjectMeta) -> JsonObject:
    fields: dict[str, Json] = {
        "uid": metadata.uid,
        "resourceVersion": str(metadata.revision or ""),
        "generation": metadata.generation,
        "creationTimestamp": _time(metadata.created) if metadata.created else "",
        "labels": dict(metadata.labels),
        "annotations": dict(metadata.annotations),
        "finalizers": list(metadata.finalizers),
        "ownerReferences": [print_owner(owner) for owner in metadata.owners],
    }
    said = {name: value for name, value in fields.items() if value}
    return {"name": metadata.key.name, "namespace": metadata.key.namespace, **said}


def print_owner(owner: OwnerReference) -> JsonObject:
    """Print who owns an object; it holds up the deletion of none."""
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": owner.controller,
        "blockOwnerDeletion": False,
    }


def _property(item: DiscoveryProperty) -> JsonObject:
    match item:
        case Literal(name, value):
            return {"name": name, "value": value}
        case FromSecret(name):
            return {"name": name, "valueFrom": {"secretKeyRef": _reference(item)}}
        case FromConfigMap(name):
            return {"name": name, "valueFrom": {"configMapKeyRef": _reference(item)}}
    assert_never(item)


def _reference(item: FromSecret | FromConfigMap) -> JsonObject:
    return {"name": item.source.name, "namespace": item.source.namespace, "key": item.key, "optional": item.optional}


def _broker(broker: BrokerSpec) -> JsonObject | None:
    match broker:
        case PodBroker(spec):
            return {"brokerPodSpec": dict(spec)}
        case JobBroker(spec):
            return {"brokerJobSpec": dict(spec)}
        case NoBroker():
            return None
    assert_never(broker)


def _handler(handler: HandlerReport) -> JsonObject:
    times = {"askedAt": handler.asked_at, "answeredAt": handler.answered_at}
    return {
        "name": handler.name,
        "endpoint": handler.endpoint,
        **{name: _time(seconds) for name, seconds in times.items() if seconds},
        "devices": handler.devices,
        "candidates": handler.candidates,
        "dropped": dict(handler.dropped),
        "message": handler.message,
        "error": handler.error,
        **({} if handler.reason is None else {"reason": handler.reason.value}),
    }


def _kept(device: KeptDevice) -> JsonObject:
    return {
        "deviceId": device.device_id,
        "instance": device.instance,
        "until": _time(device.until),
        "misses": device.misses,
        "why": device.why,
    }


def _condition(condition: Condition, generation: int) -> JsonObject:
    return {
        "type": condition.type,
        "status": "True" if condition.status else "False",
        "reason": condition.reason.value,
        "message": condition.message,
        "lastTransitionTime": _time(condition.since),
        "observedGeneration": generation,
    }
