"""Short ways to describe a cluster for the tests of scheduling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from akri.core.configuration import BrokerSpec, Configuration, DiscoveryRequest, PodBroker
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_GENERATION, Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.scheduling.model import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_HASH,
    Action,
    BrokerJob,
    BrokerPod,
    BrokerService,
    CreateJob,
    CreatePod,
    CreateService,
    NodeState,
    Phase,
)
from akri.scheduling.planning import Plan, plan
from akri.scheduling.snapshot import EMPTY, Snapshot

__all__ = [
    "CAM",
    "NOW",
    "POD",
    "configuration",
    "instance",
    "job_of",
    "key",
    "node",
    "only",
    "plan_pods",
    "pod_of",
    "service_of",
    "snapshot",
]

NOW = 10_000.0
POD: JsonObject = {"containers": [{"name": "broker", "resources": {"limits": {"{{PLACEHOLDER}}": "1"}}}]}


def key(name: str, namespace: str = "default") -> ObjectKey:
    """Name an object in the namespace of these tests."""
    return ObjectKey(namespace, name)


def configuration(
    name: str = "cam",
    capacity: int = 2,
    broker: BrokerSpec | None = None,
    generation: int = 1,
    instance_service: JsonObject | None = None,
    configuration_service: JsonObject | None = None,
) -> Configuration:
    """Describe a Configuration, by default with a pod broker."""
    return Configuration(
        ObjectMeta(key(name), uid=f"uid-{name}", generation=generation, created=1.0),
        DiscoveryRequest(HandlerName("debugEcho")),
        capacity,
        PodBroker(POD) if broker is None else broker,
        instance_service,
        configuration_service,
    )


CAM = configuration()


def instance(
    *nodes: str,
    name: str = "cam-aaaaaa",
    owner: Configuration = CAM,
    capacity: int | None = None,
    shared: bool = True,
    usage: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
    generation: int | None = None,
) -> Instance:
    """Describe an Instance of a Configuration, up to date with it unless told otherwise."""
    seen = owner.metadata.generation if generation is None else generation
    annotations = {ANNOTATION_GENERATION: str(seen)}
    reference = OwnerReference("akri.sh/v0", "Configuration", owner.name, owner.metadata.uid, controller=True)
    return Instance(
        ObjectMeta(key(name), uid=f"uid-{name}", revision=1, created=2.0, annotations=annotations, owners=(reference,)),
        ConfigurationName(owner.name),
        cdi_name="akri.sh/cam=aaaaaa",
        capacity=owner.capacity if capacity is None else capacity,
        shared=shared,
        nodes=tuple(NodeName(one) for one in nodes),
        device_usage=usage or {},
        broker_properties=properties or {},
    )


def node(name: str, *, ready: bool = True, since: float = 0.0) -> NodeState:
    """Describe a node."""
    return NodeState(NodeName(name), ready, since)


def snapshot(*instances: Instance, owner: Configuration | None = CAM, nodes: Iterable[str | NodeState] = ("a", "b", "c")) -> Snapshot:
    """Describe a cluster."""
    states = [node(one) if isinstance(one, str) else one for one in nodes]
    return EMPTY.with_nodes(states).with_configurations([owner] if owner else []).with_instances(instances)


def pod_of(action: CreatePod, phase: Phase = Phase.RUNNING, *, started: float = NOW, finished: float = 0.0) -> BrokerPod:
    """Show the pod that an action creates, as a platform would."""
    return BrokerPod(
        action.key,
        f"uid-{action.key.name}",
        action.instance,
        action.node,
        phase,
        int(action.annotations[ANNOTATION_ATTEMPT]),
        action.annotations[ANNOTATION_HASH],
        created=NOW,
        started=started,
        finished=finished,
    )


def job_of(action: CreateJob) -> BrokerJob:
    """Show the job that an action creates."""
    made_from, attempt = action.annotations[ANNOTATION_HASH], int(action.annotations[ANNOTATION_ATTEMPT])
    return BrokerJob(action.key, f"uid-{action.key.name}", action.instance, made_from, attempt, created=NOW)


def service_of(action: CreateService) -> BrokerService:
    """Show the service that an action creates."""
    return BrokerService(action.key, f"uid-{action.key.name}", action.about, action.annotations[ANNOTATION_HASH])


def only(made: Plan | tuple[Action, ...]) -> Action:
    """Return the one action that there is."""
    actions = made.actions if isinstance(made, Plan) else made
    assert len(actions) == 1, actions
    return actions[0]


def plan_pods(before: Snapshot, phase: Phase = Phase.RUNNING) -> Snapshot:
    """Let every pod that is planned run, or be in another phase."""
    created = [pod_of(action, phase) for action in plan(before, NOW).actions if isinstance(action, CreatePod)]
    return before.with_pods(created)
