"""Whatever a platform shows, a diagnosis comes of it: the same each time, and nothing in it that a terminal would obey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from akri.cli.diagnosis.diagnose import diagnose
from akri.cli.diagnosis.finding import Finding
from akri.cli.diagnosis.names import Ambiguous, Missing, find
from akri.cli.diagnosis.sight import Scope, Sight, Where
from akri.cli.overview import Overview
from akri.core.configuration import Configuration, DiscoveryRequest, NoBroker, PodBroker, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.properties import FromConfigMap, FromSecret
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, Event, HandlerReport, KeptDevice, PastEvent, Reason
from akri.ports import ContainerState, PodDetails
from akri.scheduling.model import BrokerJob, BrokerPod, NodeState, Phase

NAMES = ["cam", "cam-8120fe", "cam-8120fe-pod", "cam-8120fe-3-job", "d.o", "node-a-cam-8120fe-pod"]
texts = st.text(max_size=8) | st.sampled_from(
    [
        "permission denied: /dev/x\x1b[31m",
        "Secret default/cam does not exist",
        "Secret default/cam has no key 'k'",
        "no discovery handler x is registered on this node; registered: udev, debugEcho",
        "slot cam-8120fe-0 is held by node-a",
        "node node-a is lost: it leaves",
        "no answer since it was asked at",
        "x" * 500,
    ]
)
times = st.floats() | st.sampled_from([0.0, 1.0e9, 1.0e9 - 400, 1.0e9 + 50])
counts = st.integers(0, 10**9)
keys = st.builds(ObjectKey, st.sampled_from(["default", "b", ""]), st.sampled_from(NAMES))
nodes = st.sampled_from(["node-a", "node-b", "", "n\x07"]).map(NodeName)
uids = st.sampled_from(["", "u", "v"])
notes = st.dictionaries(st.sampled_from(["akri.sh/grace", "akri.sh/device-id", "akri.sh/device-node"]), texts, max_size=2)
metadata = st.builds(ObjectMeta, keys, uids, counts, counts, times, annotations=notes)
references = st.builds(FromSecret, st.just("p"), keys, texts) | st.builds(FromConfigMap, st.just("p"), keys, texts)
requests = st.builds(DiscoveryRequest, st.sampled_from(["udev", "x"]).map(HandlerName), texts, st.lists(references, max_size=2).map(tuple))
brokers = st.sampled_from([NoBroker(), PodBroker({})])
configurations = st.builds(Configuration, metadata, requests, st.integers(1, 3), brokers) | st.builds(
    UnreadableConfiguration, metadata, st.lists(st.builds(Problem, texts, texts), max_size=2).map(tuple)
)
usages = st.dictionaries(
    st.sampled_from(["cam-8120fe-0", "cam-8120fe-1", "odd\x1b"]), st.sampled_from(["", "node-a", "C:cam-0:node-b", "a b"]), max_size=3
)
instances = st.builds(
    Instance,
    metadata,
    st.sampled_from(["cam", "d.o"]).map(ConfigurationName),
    texts,
    st.integers(-1, 3),
    st.booleans(),
    st.lists(nodes, max_size=2).map(tuple),
    usages,
)
handlers = st.builds(
    HandlerReport,
    st.just(HandlerName("udev")),
    texts,
    times,
    times,
    counts,
    counts,
    st.dictionaries(texts, counts, max_size=2),
    texts,
    texts,
    st.none() | st.sampled_from(Reason),
)
kept = st.builds(KeptDevice, texts, st.sampled_from(["", "cam-8120fe"]), times, counts, texts)
reports = st.builds(
    DiscoveryReport,
    keys,
    uids,
    nodes,
    counts,
    times,
    st.lists(handlers, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    st.lists(kept, max_size=2).map(tuple),
)
conditions = st.builds(Condition, st.sampled_from(["Accepted", "Discovering"]), st.booleans(), st.sampled_from(Reason), texts, times)
statuses = st.builds(ConfigurationStatus, counts, st.lists(conditions, max_size=2).map(tuple))
phases = st.sampled_from(Phase)
broker_pods = st.builds(
    BrokerPod, keys, uids, keys, nodes, phases, st.integers(0, 10**12), texts, times, times, times, texts, st.booleans()
)
broker_jobs = st.builds(BrokerJob, keys, uids, keys, texts, counts, times, times, st.booleans(), st.booleans(), texts, st.booleans())
events = st.builds(
    PastEvent,
    st.builds(Event, st.sampled_from(["Configuration", "Instance", "Pod", "Node", "Job"]), keys, st.sampled_from(Reason), texts),
    times,
    nodes,
)
containers = st.builds(ContainerState, texts, st.booleans(), st.booleans(), times, times, st.none() | st.integers(-1, 255), counts, texts)
limits = st.dictionaries(st.sampled_from(["akri.sh/cam", "akri.sh/cam-8120fe"]), st.integers(0, 2), max_size=2)
specs = limits.map(lambda asked: {"containers": [{"name": "main", "resources": {"limits": asked}}]})
pods = st.builds(PodDetails, metadata, specs, nodes, phases, texts, texts, times, times, st.lists(containers, max_size=2).map(tuple))


def _several(values: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(values, max_size=most).map(tuple)


overviews = st.builds(
    Overview,
    _several(configurations),
    st.dictionaries(uids, statuses, max_size=2),
    _several(instances),
    _several(broker_pods),
    _several(broker_jobs),
    st.just(()),
    _several(reports),
    _several(st.builds(NodeState, nodes, st.booleans(), times)),
    _several(events),
)
sights = st.builds(
    Sight,
    overviews,
    times,
    _several(pods),
    st.dictionaries(keys, st.lists(texts, max_size=2).map(tuple), max_size=2),
    st.builds(Where, st.sampled_from(["", "/var/lib/akri"]), st.sampled_from(["", " --state /var/lib/akri"])),
)


def _all(sight: Sight) -> list[tuple[str, tuple[Finding, ...]]]:
    found = [find(sight.overview, text, namespace) for text in NAMES for namespace in ("", "default", "b")]
    return [(scope.subject, diagnose(scope, sight)) for scope in found if isinstance(scope, Scope)]


@given(sights)
def test_whatever_there_is_is_diagnosed_alike_each_time_and_harmlessly(sight: Sight) -> None:
    found = _all(sight)
    assert found == _all(sight)
    for _, findings in found:
        assert findings
        for finding in findings:
            for line in (finding.title, finding.advice, *finding.evidence):
                assert line.isprintable()
                assert line


@given(overviews, st.text(max_size=20) | st.sampled_from(NAMES), st.text(max_size=5))
def test_any_text_is_looked_up(overview: Overview, text: str, namespace: str) -> None:
    assert isinstance(find(overview, text, namespace), Scope | Missing | Ambiguous)
