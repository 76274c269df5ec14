"""Every name that Akri computes: Instances and their digests, kubelet resources, brokers and their labels, and the limits of all of them.

Names equal upstream's wherever upstream's are valid (compat.md); what would be too long is cut and ends in a digest of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

from attrs import frozen

from akri.core.configuration import Configuration
from akri.core.device import Local, Scope
from akri.core.errors import InvalidValueError
from akri.core.ids import CdiName, ConfigurationName, DeviceId, InstanceName, NodeName, ObjectKey, ResourceName
from akri.core.instance import Instance

__all__ = [
    "DIGEST_SIZE",
    "LABEL_APP",
    "LABEL_CONFIGURATION",
    "LABEL_CONTROLLER",
    "LABEL_INSTANCE",
    "LABEL_TARGET_NODE",
    "LABEL_VALUE_CONTROLLER",
    "LONGER_DIGEST_SIZE",
    "MAXIMUM_LABEL",
    "NameRefusal",
    "cdi_name",
    "configuration_service_labels",
    "configuration_service_name",
    "digest",
    "environment_suffix",
    "fitted",
    "instance_name",
    "instance_service_labels",
    "instance_service_name",
    "job_labels",
    "job_name",
    "name_collisions",
    "node_name_of",
    "pod_labels",
    "pod_name",
    "report_name",
    "resource_name",
]

_LONGEST_HOST: Final = 63
DIGEST_SIZE: Final = 3
"""Bytes of the digest in an Instance's name."""
LONGER_DIGEST_SIZE: Final = 4
"""Bytes of the digest where the shorter one is taken by another device of the same Configuration."""
MAXIMUM_LABEL: Final = 63
"""Characters of a label value, of a Service's and a Job's name, and of the name part of a kubelet resource."""
LABEL_APP: Final = "app"
LABEL_CONTROLLER: Final = "controller"
LABEL_VALUE_CONTROLLER: Final = "akri.sh"
LABEL_CONFIGURATION: Final = "akri.sh/configuration"
LABEL_INSTANCE: Final = "akri.sh/instance"
LABEL_TARGET_NODE: Final = "akri.sh/target-node"

_MAXIMUM_OBJECT_NAME: Final = 253
_MAXIMUM_DIGEST: Final = 32
_RESOURCE_PREFIX: Final = "akri.sh/"
_Kind: TypeAlias = Literal["Configuration", "Instance"]


def _hexadecimal(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def digest(device_id: DeviceId, scope: Scope, size: int = DIGEST_SIZE) -> str:
    """Return the digest that names a device's Instance: lower-case hexadecimal BLAKE2b with `size` bytes of output.

    It is taken over the device's id, with the node's name appended where the device is not shared, so that the same
    id on two nodes makes two Instances. Raises InvalidValueError for a size that is not from 3 to 32.
    """
    if not DIGEST_SIZE <= size <= _MAXIMUM_DIGEST:
        raise InvalidValueError("digest size", size, f"a number of bytes from {DIGEST_SIZE} to {_MAXIMUM_DIGEST}")
    node = scope.node if isinstance(scope, Local) else ""
    return _hexadecimal(f"{device_id}{node}", size)


def instance_name(configuration: ConfigurationName, device_digest: str) -> InstanceName:
    """Return the name of a device's Instance: `<configuration>-<digest>`."""
    return InstanceName(f"{configuration}-{device_digest}")


def cdi_name(configuration: ConfigurationName, device_digest: str) -> CdiName:
    """Return the CDI name of a device's Instance: `akri.sh/<configuration>=<digest>`."""
    return CdiName(configuration, device_digest)


def environment_suffix(instance: InstanceName) -> str:
    """Return what follows `KEY_` in a broker's environment: the digest of the Instance's name in upper case."""
    return instance.rpartition("-")[2].upper()


def resource_name(name: ConfigurationName | InstanceName) -> ResourceName:
    """Return the kubelet's extended resource for a Configuration or an Instance: `akri.sh/<name>`."""
    return ResourceName(f"{_RESOURCE_PREFIX}{name}")


def fitted(text: str, limit: int = MAXIMUM_LABEL) -> str:
    """Return `text` as it is if it has at most `limit` characters, else cut, with a dash and a digest of the whole at its end."""
    if len(text) <= limit:
        return text
    ending = f"-{_hexadecimal(text, LONGER_DIGEST_SIZE)}"
    return text[: limit - len(ending)].rstrip("-._") + ending


def _service_name(text: str) -> str:
    # A Service's name is a DNS label, which begins with a letter and has no dots.
    name = text.replace(".", "-")
    return fitted(name if name[0].isalpha() else f"akri-{name}")


def pod_name(instance: InstanceName, node: NodeName, *, shared: bool) -> str:
    """Return the name of a broker pod: `<instance>-pod`, or `<node>-<instance>-pod` for a shared Instance; its dots become dashes."""
    name = f"{instance.replace('.', '-')}-pod"
    return fitted(f"{node}-{name}" if shared else name, _MAXIMUM_OBJECT_NAME)


def job_name(instance: InstanceName, generation: int) -> str:
    """Return the name of a broker job: `<instance>-<Configuration generation>-job`, dots of the instance as dashes."""
    return fitted(f"{instance.replace('.', '-')}-{generation}-job")


def instance_service_name(instance: InstanceName) -> str:
    """Return the name of an Instance's Service: `<instance>-svc`, with `akri-` before a name that begins with a digit."""
    return _service_name(f"{instance}-svc")


def configuration_service_name(configuration: ConfigurationName) -> str:
    """Return the name of a Configuration's Service: `<configuration>-svc`, with `akri-` before a name that begins with a digit."""
    return _service_name(f"{configuration}-svc")


def report_name(configuration: ConfigurationName, node: NodeName) -> str:
    """Return the name of the DiscoveryReport of one node on one Configuration: `<configuration>.<node>`."""
    return fitted(f"{configuration}.{node}", _MAXIMUM_OBJECT_NAME)


def pod_labels(configuration: ConfigurationName, instance: InstanceName, node: NodeName, *, shared: bool) -> dict[str, str]:
    """Return the labels of a broker pod."""
    app = pod_name(instance, node, shared=shared)
    return _labels(app, configuration=configuration, instance=instance) | {LABEL_TARGET_NODE: fitted(node)}


def job_labels(configuration: ConfigurationName, instance: InstanceName, generation: int) -> dict[str, str]:
    """Return the labels of a broker job; its pod template carries those of `akri.sh/configuration` and `akri.sh/instance` too."""
    return _labels(job_name(instance, generation), configuration=configuration, instance=instance)


def instance_service_labels(instance: InstanceName) -> dict[str, str]:
    """Return the labels of an Instance's Service; the one of `akri.sh/instance` is its selector as well."""
    return _labels(instance_service_name(instance), instance=instance)


def configuration_service_labels(configuration: ConfigurationName) -> dict[str, str]:
    """Return the labels of a Configuration's Service; the one of `akri.sh/configuration` is its selector as well."""
    return _labels(configuration_service_name(configuration), configuration=configuration)


def _labels(app: str, configuration: ConfigurationName | None = None, instance: InstanceName | None = None) -> dict[str, str]:
    labels = {LABEL_APP: fitted(app), LABEL_CONTROLLER: LABEL_VALUE_CONTROLLER}
    if configuration:
        labels[LABEL_CONFIGURATION] = fitted(configuration)
    if instance:
        labels[LABEL_INSTANCE] = fitted(instance)
    return labels


@frozen
class NameRefusal:
    """Of two objects that would share one kubelet resource the younger, which is refused, and the older, which has the name.

    A refused Configuration gets no Instances and no resource; a refused Instance is not offered to the kubelet.
    """

    kind: _Kind
    key: ObjectKey
    other_kind: _Kind
    other: ObjectKey

    @property
    def resource(self) -> ResourceName:
        """The kubelet resource that only one of them can have."""
        return ResourceName(f"{_RESOURCE_PREFIX}{self.key.name}")

    @property
    def message(self) -> str:
        """One sentence for a condition."""
        older = f"the older {self.other_kind} {self.other}"
        return f"{self.kind} {self.key} is refused: the kubelet resource {self.resource} belongs to {older}"


def _age(item: Configuration | Instance) -> tuple[bool, float, bool, ObjectKey]:
    # Oldest first. An object without a time is not stored yet, so it is the youngest.
    created = item.metadata.created
    return (created == 0, created, isinstance(item, Instance), item.key)


def name_collisions(configurations: Iterable[Configuration], instances: Iterable[Instance]) -> tuple[NameRefusal, ...]:
    """Find objects that would share a kubelet resource name, which has no namespace (E9).

    Those are Configurations (and their Instances) of one name in two namespaces, and a Configuration named like another's
    Instance. The oldest keeps the name (then Configuration before Instance, then the smaller key); the refusals come in
    that order. Instances of a refused Configuration take no names.
    """
    taken: dict[str, tuple[_Kind, ObjectKey]] = {}
    refused: set[ObjectKey] = set()
    refusals: list[NameRefusal] = []
    things: list[Configuration | Instance] = [*configurations, *instances]
    for thing in sorted(things, key=_age):
        if isinstance(thing, Instance) and ObjectKey(thing.key.namespace, thing.configuration) in refused:
            continue
        kind: _Kind = "Instance" if isinstance(thing, Instance) else "Configuration"
        holder = taken.setdefault(thing.key.name, (kind, thing.key))
        if holder != (kind, thing.key):
            refusals.append(NameRefusal(kind, thing.key, *holder))
            if kind == "Configuration":
                refused.add(thing.key)
    return tuple(refusals)


def node_name_of(host: str) -> NodeName:
    """Give a machine's host name in the form that Kubernetes gives a node's name: lower case, 1 to 63 characters."""
    name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in host.lower())
    return NodeName(name.strip("-.")[:_LONGEST_HOST].rstrip("-.") or "localhost")
