"""What a broker pod, job or service looks like: a user's spec with the device filled in, and hashes that tell when it must be made anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from attrs import frozen

from akri.core.configuration import Configuration, JobBroker, PodBroker
from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta, OwnerReference
from akri.core.naming import (
    LABEL_CONFIGURATION,
    LABEL_INSTANCE,
    configuration_service_labels,
    configuration_service_name,
    instance_service_labels,
    instance_service_name,
    job_labels,
    job_name,
    pod_labels,
    pod_name,
    resource_name,
)
from akri.core.reports import Reason
from akri.scheduling.model import ANNOTATION_ATTEMPT, ANNOTATION_HASH, CreateJob, CreatePod, CreateService, UpdateService

__all__ = [
    "PLACEHOLDER",
    "WHY",
    "Hashes",
    "configuration_service",
    "create_job",
    "create_pod",
    "digest_of",
    "instance_service",
    "pod_key",
    "update_service",
]

PLACEHOLDER: Final = "{{PLACEHOLDER}}"
"""In a container's limits and requests: stands for the resource of the broker's Instance."""
WHY: Final = {
    Reason.DEVICE_MOVED: "the properties or the address of its device changed",
    Reason.BROKER_CHANGED: "the specification of the broker changed",
}
"""Why a broker is made anew, in words, for each answer of `Hashes.cause`."""
_API_VERSION: Final = "akri.sh/v0"
_SEPARATOR: Final = "-"


def digest_of(value: object) -> str:
    """Hash a JSON value; the order of keys does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@frozen
class Hashes:
    """What a broker was made from, in two parts, so that one sees which of them changed; prints as `<spec>-<device>`.

    device: the Instance's brokerProperties, where a new device node or address shows, and the user's own properties.
    """

    spec: str
    device: str

    def __str__(self) -> str:
        """Print as in the annotation of a broker."""
        return f"{self.spec}{_SEPARATOR}{self.device}"

    def cause(self, made_from: str) -> Reason | None:
        """Tell why a broker that was made from something else has to be made anew; None if it was made from this."""
        if made_from == str(self):
            return None
        same_spec = made_from.partition(_SEPARATOR)[0] == self.spec
        return Reason.DEVICE_MOVED if same_spec else Reason.BROKER_CHANGED


def pod_key(instance: Instance, node: NodeName) -> ObjectKey:
    """Name the broker pod of an Instance on a node."""
    return ObjectKey(instance.key.namespace, pod_name(instance.name, node, shared=instance.shared))


def create_pod(instance: Instance, broker: PodBroker, hashes: Hashes, node: NodeName, attempt: int) -> CreatePod:
    """Make the broker pod of an Instance for a node (compat.md, Controller)."""
    return CreatePod(
        key=pod_key(instance, node),
        instance=instance.key,
        node=node,
        owner=_owner("Instance", instance.metadata),
        labels=pod_labels(instance.configuration, instance.name, node, shared=instance.shared),
        annotations=_annotations(str(hashes), attempt),
        spec=_bound(_with_device(broker.spec, instance), node),
    )


def create_job(instance: Instance, configuration: Configuration, broker: JobBroker, hashes: Hashes, attempt: int) -> CreateJob:
    """Make the broker job of an Instance."""
    generation = configuration.metadata.generation
    labels = job_labels(instance.configuration, instance.name, generation)
    both = {label: labels[label] for label in (LABEL_CONFIGURATION, LABEL_INSTANCE)}
    template = _object(broker.spec.get("template"))
    metadata = _object(template.get("metadata"))
    made: JsonObject = {
        **template,
        "metadata": {**metadata, "labels": {**_object(metadata.get("labels")), **both}},
        "spec": _with_device(_object(template.get("spec")), instance),
    }
    return CreateJob(
        key=ObjectKey(instance.key.namespace, job_name(instance.name, generation)),
        instance=instance.key,
        owner=_owner("Instance", instance.metadata),
        labels=labels,
        annotations=_annotations(str(hashes), attempt),
        spec={**broker.spec, "template": made},
    )


def instance_service(instance: Instance, spec: JsonObject) -> CreateService:
    """Make the service that leads to the brokers of an Instance."""
    labels = instance_service_labels(instance.name)
    return _service(
        instance_service_name(instance.name),
        _owner("Instance", instance.metadata),
        instance.key,
        labels,
        _selecting(spec, labels, LABEL_INSTANCE),
    )


def configuration_service(configuration: Configuration, spec: JsonObject) -> CreateService:
    """Make the service that leads to all brokers of a Configuration."""
    labels = configuration_service_labels(configuration.name)
    owner = _owner("Configuration", configuration.metadata)
    return _service(
        configuration_service_name(configuration.name), owner, configuration.key, labels, _selecting(spec, labels, LABEL_CONFIGURATION)
    )


def update_service(service: CreateService, uid: str) -> UpdateService:
    """Bring the service with this uid to what `service` would create."""
    return UpdateService(service.key, uid, service.labels, service.annotations, service.spec)


def _service(name: str, owner: OwnerReference, about: ObjectKey, labels: Mapping[str, str], spec: JsonObject) -> CreateService:
    key = ObjectKey(about.namespace, name)
    annotations = {ANNOTATION_HASH: digest_of({"labels": labels, "spec": spec})}
    return CreateService(key, about, owner, labels, annotations, spec)


def _selecting(spec: JsonObject, labels: Mapping[str, str], label: str) -> JsonObject:
    return {**spec, "selector": {**_object(spec.get("selector")), label: labels[label]}}


def _owner(kind: str, metadata: ObjectMeta) -> OwnerReference:
    return OwnerReference(_API_VERSION, kind, metadata.key.name, metadata.uid, controller=True)


def _annotations(made_from: str, attempt: int) -> dict[str, str]:
    return {ANNOTATION_HASH: made_from, ANNOTATION_ATTEMPT: str(attempt)}


def _with_device(spec: JsonObject, instance: Instance) -> JsonObject:
    resource = resource_name(instance.name)
    lists = {name: _containers(spec[name], resource) for name in ("initContainers", "containers") if name in spec}
    return {**spec, **lists}


def _containers(containers: Json, resource: str) -> Json:
    if not isinstance(containers, Sequence) or isinstance(containers, str):
        return containers
    return [_container(container, resource) for container in containers]


def _container(container: Json, resource: str) -> Json:
    if not isinstance(container, Mapping) or "resources" not in container:
        return container
    resources = _object(container["resources"])
    asked = {name: _renamed(_object(resources[name]), resource) for name in ("limits", "requests") if name in resources}
    return {**container, "resources": {**resources, **asked}}


def _renamed(quantities: JsonObject, resource: str) -> JsonObject:
    return {resource if name == PLACEHOLDER else name: quantity for name, quantity in quantities.items()}


def _bound(spec: JsonObject, node: NodeName) -> JsonObject:
    # The user's own terms are alternatives, so the node is added to each of them.
    affinity = _object(spec.get("affinity"))
    of_nodes = _object(affinity.get("nodeAffinity"))
    required = _object(of_nodes.get(_REQUIRED))
    terms = required.get("nodeSelectorTerms")
    own: JsonObject = {"key": "metadata.name", "operator": "In", "values": [node]}
    bound = (
        [_term(term, own) for term in terms] if isinstance(terms, Sequence) and not isinstance(terms, str) and terms else [_term({}, own)]
    )
    return {**spec, "affinity": {**affinity, "nodeAffinity": {**of_nodes, _REQUIRED: {**required, "nodeSelectorTerms": bound}}}}


_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def _term(term: Json, own: JsonObject) -> JsonObject:
    fields = _object(term).get("matchFields")
    others = list(fields) if isinstance(fields, Sequence) and not isinstance(fields, str) else []
    return {**_object(term), "matchFields": [*others, own]}


def _object(value: Json) -> JsonObject:
    # What is no object where one belongs is left out: the codec has told the user, and the platform has the last word.
    return value if isinstance(value, Mapping) else {}
