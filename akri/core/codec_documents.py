"""The shape of stored objects, field by field as compat.md has them, and what each shape means as a value.

Names are those of the documents in snake_case. The types of fields choose the hook that reads them (`codec_converter`).
"""

# No `from __future__ import annotations`: the converter needs the types, not their names. Nobody compares or prints these
# classes, so they have no methods for it, which takes a third off the time to load this module.

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NewType, TypeAlias, cast

from attrs import frozen

from akri.core.configuration import BrokerSpec, Configuration, DiscoveryRequest, JobBroker, NoBroker, PodBroker, require_name
from akri.core.errors import InvalidValueError, Problem
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.properties import DEFAULT_NAMESPACE, DiscoveryProperty, FromConfigMap, FromSecret, Literal
from akri.core.reports import DiscoveryReport, HandlerReport, KeptDevice, Reason

__all__ = [
    "CHECKS",
    "BrokerDocument",
    "BrokerProperties",
    "Capacity",
    "ConfigurationDocument",
    "ConfigurationSpecDocument",
    "Count",
    "DetailsText",
    "DiscoveryHandlerDocument",
    "HandlerReportDocument",
    "HandlerText",
    "InstanceDocument",
    "InstanceSpecDocument",
    "KeptDeviceDocument",
    "MetadataDocument",
    "NameText",
    "OwnerDocument",
    "PropertyDocument",
    "PropertySourceDocument",
    "PropertyText",
    "ReferenceDocument",
    "ReportDocument",
    "ReportSpecDocument",
    "Revision",
    "Timestamp",
]

Capacity = NewType("Capacity", int)
"""1 to 1,000."""
Count = NewType("Count", int)
"""0 or more."""
NameText = NewType("NameText", str)
"""A name that is not empty."""
HandlerText = NewType("HandlerText", str)
"""Name of a discovery handler."""
DetailsText = NewType("DetailsText", str)
"""Discovery details: YAML in a text."""
PropertyText = NewType("PropertyText", str)
"""Name of a discovery property."""
BrokerProperties = NewType("BrokerProperties", Mapping[str, str])
"""Properties that an environment can hold."""
Revision = NewType("Revision", int)
"""A resourceVersion: a whole number written as a text."""
Timestamp = NewType("Timestamp", float)
"""Seconds since the epoch, written as RFC 3339."""

_NO_TEXTS: Final[Mapping[str, str]] = MappingProxyType({})


@frozen(eq=False, repr=False)
class OwnerDocument:
    """One of `metadata.ownerReferences`."""

    name: str
    uid: str = ""
    api_version: str = ""
    kind: str = ""
    controller: bool = False
    block_owner_deletion: bool = False

    def value(self) -> OwnerReference:
        """Give it as a value of core."""
        return OwnerReference(self.api_version, self.kind, self.name, self.uid, self.controller)


@frozen(eq=False, repr=False)
class MetadataDocument:
    """`metadata`; the fields after `deletion_timestamp` are known and not used."""

    name: NameText
    namespace: str = DEFAULT_NAMESPACE
    uid: str = ""
    resource_version: Revision = Revision(0)
    generation: Count = Count(0)
    creation_timestamp: Timestamp = Timestamp(0.0)
    labels: Mapping[str, str] = _NO_TEXTS
    annotations: Mapping[str, str] = _NO_TEXTS
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerDocument, ...] = ()
    deletion_timestamp: Timestamp | None = None
    deletion_grace_period_seconds: Count = Count(0)
    generate_name: str = ""
    managed_fields: tuple[JsonObject, ...] = ()
    self_link: str = ""

    def value(self) -> ObjectMeta:
        """Give it as a value of core."""
        return ObjectMeta(
            key=ObjectKey(self.namespace, self.name),
            uid=self.uid,
            revision=self.resource_version,
            generation=self.generation,
            created=self.creation_timestamp,
            labels=self.labels,
            annotations=self.annotations,
            finalizers=self.finalizers,
            owners=tuple(owner.value() for owner in self.owner_references),
            deleting=self.deletion_timestamp is not None,
        )


@frozen(eq=False, repr=False)
class ReferenceDocument:
    """`secretKeyRef` or `configMapKeyRef`."""

    name: NameText
    key: NameText
    namespace: str = DEFAULT_NAMESPACE
    optional: bool = False


@frozen(eq=False, repr=False)
class PropertySourceDocument:
    """`valueFrom`: exactly one of the two."""

    secret_key_ref: ReferenceDocument | None = None
    config_map_key_ref: ReferenceDocument | None = None


@frozen(eq=False, repr=False)
class PropertyDocument:
    """One of `discoveryProperties`: exactly one of `value` and `valueFrom`."""

    name: PropertyText
    value: str = ""
    value_from: PropertySourceDocument | None = None

    def property(self) -> DiscoveryProperty:
        """Give it as a value of core."""
        source = self.value_from or PropertySourceDocument()
        if (secret := source.secret_key_ref) is not None:
            return FromSecret(self.name, ObjectKey(secret.namespace, secret.name), secret.key, secret.optional)
        if (config_map := source.config_map_key_ref) is not None:
            return FromConfigMap(self.name, ObjectKey(config_map.namespace, config_map.name), config_map.key, config_map.optional)
        return Literal(self.name, self.value)


@frozen(eq=False, repr=False)
class DiscoveryHandlerDocument:
    """`spec.discoveryHandler`."""

    name: HandlerText
    discovery_details: DetailsText = DetailsText("")
    discovery_properties: tuple[PropertyDocument, ...] = ()


@frozen(eq=False, repr=False)
class BrokerDocument:
    """`spec.brokerSpec`: at most one of the two."""

    broker_pod_spec: JsonObject | None = None
    broker_job_spec: JsonObject | None = None

    def value(self) -> BrokerSpec:
        """Give it as a value of core."""
        if self.broker_pod_spec is not None:
            return PodBroker(self.broker_pod_spec)
        return NoBroker() if self.broker_job_spec is None else JobBroker(self.broker_job_spec)


@frozen(eq=False, repr=False)
class ConfigurationSpecDocument:
    """`spec` of a Configuration."""

    discovery_handler: DiscoveryHandlerDocument
    capacity: Capacity = Capacity(1)
    broker_spec: BrokerDocument = BrokerDocument()
    instance_service_spec: JsonObject | None = None
    configuration_service_spec: JsonObject | None = None
    broker_properties: BrokerProperties = BrokerProperties(_NO_TEXTS)


@frozen(eq=False, repr=False)
class ConfigurationDocument:
    """A Configuration; its status is not the user's to write and not read here."""

    metadata: MetadataDocument
    spec: ConfigurationSpecDocument
    api_version: str = ""
    kind: str = ""
    status: JsonObject | None = None

    def value(self) -> Configuration:
        """Give it as a value of core."""
        spec, handler = self.spec, self.spec.discovery_handler
        properties = tuple(item.property() for item in handler.discovery_properties)
        return Configuration(
            metadata=self.metadata.value(),
            discovery=DiscoveryRequest(HandlerName(handler.name), handler.discovery_details, properties),
            capacity=spec.capacity,
            broker=spec.broker_spec.value(),
            instance_service=spec.instance_service_spec,
            configuration_service=spec.configuration_service_spec,
            broker_properties=spec.broker_properties,
        )


@frozen(eq=False, repr=False)
class InstanceSpecDocument:
    """`spec` of an Instance. Objects of upstream before 0.13 have neither capacity nor CDI name: one slot for each key then."""

    configuration_name: NameText
    cdi_name: str = ""
    capacity: Count | None = None
    shared: bool = False
    nodes: tuple[str, ...] = ()
    device_usage: Mapping[str, str] = _NO_TEXTS
    broker_properties: Mapping[str, str] = _NO_TEXTS


@frozen(eq=False, repr=False)
class InstanceDocument:
    """An Instance."""

    metadata: MetadataDocument
    spec: InstanceSpecDocument

    def value(self) -> Instance:
        """Give it as a value of core."""
        spec = self.spec
        return Instance(
            metadata=self.metadata.value(),
            configuration=ConfigurationName(spec.configuration_name),
            cdi_name=spec.cdi_name,
            capacity=len(spec.device_usage) if spec.capacity is None else spec.capacity,
            shared=spec.shared,
            nodes=tuple(NodeName(node) for node in spec.nodes),
            device_usage=spec.device_usage,
            broker_properties=spec.broker_properties,
        )


@frozen(eq=False, repr=False)
class HandlerReportDocument:
    """One of a DiscoveryReport's `handlers`."""

    name: str
    endpoint: str = ""
    asked_at: Timestamp = Timestamp(0.0)
    answered_at: Timestamp = Timestamp(0.0)
    devices: Count = Count(0)
    candidates: Count = Count(0)
    dropped: Mapping[str, Count] = MappingProxyType({})
    message: str = ""
    error: str = ""
    reason: str = ""

    def value(self) -> HandlerReport:
        """Give it as a value of core."""
        return HandlerReport(
            name=HandlerName(self.name),
            endpoint=self.endpoint,
            asked_at=self.asked_at,
            answered_at=self.answered_at,
            devices=self.devices,
            candidates=self.candidates,
            dropped=self.dropped,
            message=self.message,
            error=self.error,
            reason=next((reason for reason in Reason if reason.value == self.reason), None),
        )


@frozen(eq=False, repr=False)
class KeptDeviceDocument:
    """One of a DiscoveryReport's `kept`."""

    device_id: str = ""
    instance: str = ""
    until: Timestamp = Timestamp(0.0)
    misses: Count = Count(0)
    why: str = ""

    def value(self) -> KeptDevice:
        """Give it as a value of core."""
        return KeptDevice(self.device_id, self.instance, self.until, self.misses, self.why)


@frozen(eq=False, repr=False)
class ReportSpecDocument:
    """`spec` of a DiscoveryReport."""

    configuration_name: NameText
    node_name: NameText
    configuration_uid: str = ""
    generation: Count = Count(0)
    written_at: Timestamp = Timestamp(0.0)
    handlers: tuple[HandlerReportDocument, ...] = ()
    problems: tuple[str, ...] = ()
    kept: tuple[KeptDeviceDocument, ...] = ()


@frozen(eq=False, repr=False)
class ReportDocument:
    """A DiscoveryReport."""

    metadata: MetadataDocument
    spec: ReportSpecDocument

    def value(self) -> DiscoveryReport:
        """Give it as a value of core."""
        spec = self.spec
        return DiscoveryReport(
            configuration=ObjectKey(self.metadata.namespace, spec.configuration_name),
            configuration_uid=spec.configuration_uid,
            node=NodeName(spec.node_name),
            generation=spec.generation,
            written_at=spec.written_at,
            handlers=tuple(handler.value() for handler in spec.handlers),
            problems=spec.problems,
            kept=tuple(device.value() for device in spec.kept),
        )


_Check: TypeAlias = Callable[[Mapping[str, object]], Iterator[Problem]]


def _one_broker(raw: Mapping[str, object]) -> Iterator[Problem]:
    if "brokerPodSpec" in raw and "brokerJobSpec" in raw:
        yield Problem("", "brokerPodSpec and brokerJobSpec are both there: expected one of them, or none")


def _one_value(raw: Mapping[str, object]) -> Iterator[Problem]:
    if ("value" in raw) == ("valueFrom" in raw):
        yield Problem("", f"value and valueFrom are {'both there' if 'value' in raw else 'both missing'}: expected one of them")


def _one_source(raw: Mapping[str, object]) -> Iterator[Problem]:
    if ("secretKeyRef" in raw) == ("configMapKeyRef" in raw):
        found = "both there" if "secretKeyRef" in raw else "both missing"
        yield Problem("", f"secretKeyRef and configMapKeyRef are {found}: expected one of them")


def _name_that_fits(raw: Mapping[str, object]) -> Iterator[Problem]:
    metadata = raw.get("metadata")
    name = cast("Mapping[str, object]", metadata).get("name") if isinstance(metadata, Mapping) else None
    if isinstance(name, str):
        try:
            require_name(name)
        except InvalidValueError as error:
            yield error.problem


CHECKS: Final[Mapping[type[object], _Check]] = {
    BrokerDocument: _one_broker,
    PropertyDocument: _one_value,
    PropertySourceDocument: _one_source,
    ConfigurationDocument: _name_that_fits,
}
"""What one field alone cannot tell: for a class, the problems of an object as it was written, places relative to it."""
