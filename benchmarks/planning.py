"""What planning costs: 10,000 Instances, each seen by 10 of 1,000 nodes, capacity 5, all of their 50,000 brokers running.

Cold is the first plan of a controller that just started. One change is what every watch event costs after that: the next Snapshot
and the next plan together. The last figure holds the cost to the amount of work: how many times longer twice as many Instances take.
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import Final

from attrs import evolve

from akri.core.configuration import Configuration, DiscoveryRequest, PodBroker
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.scheduling.model import BrokerPod, NodeState, Phase
from akri.scheduling.placement import SPREAD
from akri.scheduling.planning import Plan, plan
from akri.scheduling.render import Hashes, digest_of, pod_key
from akri.scheduling.snapshot import EMPTY, Snapshot
from benchmarks._harness import Case, cpu_seconds, main

__all__ = ["after_one_change", "cluster", "growth"]

INSTANCES: Final = 10_000
NODES: Final = 1_000
SEEN_BY: Final = 10
CAPACITY: Final = 5
NOW: Final = 1_000_000.0
CHANGES: Final = 20
BROKER: Final = PodBroker({"containers": [{"name": "b", "image": "b", "resources": {"limits": {"{{PLACEHOLDER}}": "1"}}}]})
CONFIGURATION: Final = Configuration(
    ObjectMeta(ObjectKey("default", "cam"), uid="cam", generation=1), DiscoveryRequest(HandlerName("onvif")), CAPACITY, BROKER
)


def cluster(instances: int = INSTANCES) -> Snapshot:
    """Make a cluster in which all brokers run."""
    nodes = [NodeState(NodeName(f"node-{number}")) for number in range(NODES)]
    made = [_instance(number, nodes) for number in range(instances)]
    pods = [_pod(instance, node) for instance in made for node in instance.nodes[:CAPACITY]]
    return EMPTY.with_nodes(nodes).with_configurations([CONFIGURATION]).with_instances(made).with_pods(pods)


def _instance(number: int, nodes: list[NodeState]) -> Instance:
    key = ObjectKey("default", f"cam-{number:06x}")
    owner = OwnerReference("akri.sh/v0", "Configuration", "cam", "cam", controller=True)
    annotations = {"akri.sh/configuration-generation": "1", "akri.sh/device-id": f"camera {number}"}
    seen_by = tuple(nodes[(7 * number + step) % NODES].name for step in range(SEEN_BY))
    return Instance(
        ObjectMeta(key, f"uid-{number}", revision=1, owners=(owner,), annotations=annotations),
        ConfigurationName("cam"),
        f"akri.sh/cam={number:06x}",
        CAPACITY,
        shared=True,
        nodes=seen_by,
        device_usage={f"{key.name}-{slot}": seen_by[slot] for slot in range(CAPACITY)},
        broker_properties={"ADDRESS": f"10.0.0.{number}"},
    )


def _pod(instance: Instance, node: NodeName) -> BrokerPod:
    made_from = str(Hashes(digest_of(BROKER.spec), digest_of(instance.broker_properties)))
    key = pod_key(instance, node)
    return BrokerPod(key, f"uid-{key.name}", instance.key, node, Phase.RUNNING, 0, made_from, created=1.0, started=1.0)


def after_one_change(instances: int = INSTANCES) -> float:
    """Return the median processor time of the next Snapshot and plan, after a broker failed or a slot was taken, in turn."""
    snapshot = cluster(instances)
    made = plan(snapshot, NOW, SPREAD)
    keys = list(snapshot.instances)
    spent: list[float] = []
    for turn in range(CHANGES):
        key = keys[turn * 37 % len(keys)]
        start = time.process_time()
        snapshot = _changed(snapshot, key, turn)
        made = plan(snapshot, NOW + turn, SPREAD, previous=made)
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def _changed(snapshot: Snapshot, key: ObjectKey, turn: int) -> Snapshot:
    if turn % 2:
        instance = snapshot.instances[key]
        return snapshot.with_instances([evolve(instance, metadata=evolve(instance.metadata, revision=2), nodes=instance.nodes[1:])])
    return snapshot.with_pods([evolve(snapshot.pods[key][0], phase=Phase.FAILED, finished=NOW + turn)])


def growth() -> float:
    """Return how many times longer a cold plan takes for twice as many Instances."""
    return _cold(2 * INSTANCES) / _cold(INSTANCES)


def _cold(instances: int) -> float:
    snapshot = cluster(instances)
    gc.collect()
    start = time.process_time()
    made: Plan = plan(snapshot, NOW, SPREAD)
    spent = time.process_time() - start
    if made.actions:
        message = "a cluster at rest has nothing to do"
        raise RuntimeError(message)
    return spent


_IMPORT: Final = "from benchmarks.planning import NOW, SPREAD, after_one_change, cluster, growth, plan"
CASES: Final = (
    Case("cold, 10,000 Instances", cpu_seconds(f"{_IMPORT}\nsnapshot = cluster()", "made = plan(snapshot, NOW, SPREAD)"), "s", 2.0),
    Case("after one change, median of 20", f"{_IMPORT}\nprint(after_one_change())", "ms", 20.0, 1000.0, runs=5),
    Case("cold, times longer for twice the work", f"{_IMPORT}\nprint(growth())", "x", 2.2, runs=5),
)

if __name__ == "__main__":
    main("planning", CASES)
