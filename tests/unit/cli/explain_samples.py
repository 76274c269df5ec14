"""One Configuration `cam` with one device on node-a, and its broker, as values that tests change."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from akri.cli.diagnosis.diagnose import diagnose
from akri.cli.diagnosis.finding import Finding
from akri.cli.diagnosis.names import find
from akri.cli.diagnosis.sight import Scope, Sight
from akri.cli.overview import Overview
from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_DEVICE_ID, Instance
from akri.core.metadata import JsonObject, ObjectMeta
from akri.core.reports import DiscoveryReport, Event, HandlerReport, PastEvent, Reason
from akri.ports import ContainerState, PodDetails
from akri.scheduling.model import BrokerPod, NodeState, Phase

__all__ = [
    "BROKER",
    "CAM",
    "DEVICE",
    "HANDLER",
    "NOW",
    "REPORT",
    "SIGHT",
    "Sample",
    "details",
    "event",
    "explained",
    "key",
    "with_handler",
]

NOW: Final = 1_000_000_000.0
_NODE: Final = NodeName("node-a")
_SPEC: Final[JsonObject] = {"containers": [{"name": "main", "resources": {"limits": {"akri.sh/cam-8120fe": 1}}}]}


def key(name: str, namespace: str = "default") -> ObjectKey:
    """Name an object."""
    return ObjectKey(namespace, name)


CAM: Final = Configuration(ObjectMeta(key("cam"), "u", generation=1, created=NOW - 3600), DiscoveryRequest(HandlerName("udev")))
HANDLER: Final = HandlerReport(HandlerName("udev"), "embedded", NOW - 60, NOW - 50, devices=1, candidates=1)
REPORT: Final = DiscoveryReport(key("cam"), "u", _NODE, 1, NOW - 20, (HANDLER,))
DEVICE: Final = Instance(
    ObjectMeta(key("cam-8120fe"), "i", created=NOW - 3000, annotations={ANNOTATION_DEVICE_ID: "foo0"}),
    ConfigurationName("cam"),
    "akri.sh/cam=8120fe",
    1,
    nodes=(_NODE,),
    device_usage={"cam-8120fe-0": "node-a"},
)
BROKER: Final = BrokerPod(key("cam-8120fe-pod"), "p", key("cam-8120fe"), _NODE, Phase.RUNNING, created=NOW - 2000, started=NOW - 1999)
SIGHT: Final = Sight(
    Overview((CAM,), {}, (DEVICE,), (BROKER,), (), (), (REPORT,), (NodeState(_NODE),)),
    NOW,
    (PodDetails(ObjectMeta(BROKER.key, "p"), _SPEC, _NODE, Phase.RUNNING),),
)


class Sample:
    """Ways to change SIGHT."""

    @staticmethod
    def overview(**changes: object) -> Sight:
        """Change fields of the Overview."""
        return evolve(SIGHT, overview=evolve(SIGHT.overview, **changes))  # type: ignore[arg-type]

    @staticmethod
    def broker(*containers: ContainerState, message: str = "", logs: tuple[str, ...] = (), **changes: object) -> Sight:
        """Change fields of the broker, and what is known of its containers."""
        pod = evolve(BROKER, **changes)  # type: ignore[arg-type]
        overview = evolve(SIGHT.overview, broker_pods=(pod,))
        return evolve(SIGHT, overview=overview, pods=(details(pod, *containers, message=message),), logs={pod.key: logs} if logs else {})


def details(pod: BrokerPod, *containers: ContainerState, message: str = "") -> PodDetails:
    """Describe a pod as its node knows it."""
    metadata = ObjectMeta(pod.key, pod.uid, created=pod.created)
    return PodDetails(metadata, _SPEC, pod.node, pod.phase, pod.reason, message, pod.started, pod.finished, containers)


def with_handler(*handlers: HandlerReport, devices: bool = False) -> Sight:
    """Let handlers of node-a, node-b, ... say this, without any device."""
    reports = tuple(
        evolve(REPORT, node=NodeName(f"node-{letter}"), handlers=(one,)) for letter, one in zip("abcdef", handlers, strict=False)
    )
    nodes = tuple(NodeState(report.node) for report in reports)
    if devices:
        return Sample.overview(reports=reports, nodes=nodes)
    return Sample.overview(reports=reports, nodes=nodes, instances=(), broker_pods=())


def event(kind: str, about: str, reason: Reason, message: str, ago: float = 10.0, *, warning: bool = True) -> PastEvent:
    """Describe something that happened."""
    return PastEvent(Event(kind, key(about), reason, message, warning), NOW - ago)


def explained(sight: Sight, name: str = "cam", namespace: str = "") -> tuple[Finding, ...]:
    """Diagnose what has this name."""
    scope = find(sight.overview, name, namespace)
    assert isinstance(scope, Scope), scope
    return diagnose(scope, sight)
