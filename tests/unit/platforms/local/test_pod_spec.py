"""What is read of a PodSpec, what is said to be ignored, and that nothing a user writes raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from akri.core.metadata import Json, JsonObject
from akri.platforms.local.pod_check import ignored_fields, ignored_job_fields, refused_fields, refused_job_fields
from akri.platforms.local.pod_spec import Container, containers, deadline_seconds, expanded, grace_seconds, restart_policy, whole_number

CAM = "akri.sh/cam-8120fe"
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [
        "terminationGracePeriodSeconds",
        "activeDeadlineSeconds",
        "restartPolicy",
        "containers",
        "initContainers",
        "env",
        "resources",
        "limits",
        "command",
        "name",
        "securityContext",
        "volumes",
        "volumeMounts",
        "valueFrom",
    ]
)
rubbish = st.dictionaries(
    names, st.recursive(json, lambda inner: st.lists(st.dictionaries(names, inner, max_size=3), max_size=3)), max_size=4
)


def test_containers_come_in_their_order_with_their_places() -> None:
    spec: JsonObject = {
        "containers": [{"name": "main", "command": ["run", 1], "args": ["now"], "workingDir": "/srv"}],
        "initContainers": [{"name": "first"}, {"name": "side", "restartPolicy": "Always"}],
    }
    first, side, main = containers(spec)
    assert [(c.name, c.place, c.init, c.sidecar) for c in (first, side, main)] == [
        ("first", "initContainers[0]", True, False),
        ("side", "initContainers[1]", True, True),
        ("main", "containers[0]", False, False),
    ]
    assert (main.command, main.working_directory) == (("run", "1", "now"), "/srv")


def test_variables_may_use_those_before_them() -> None:
    env: Json = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(C)"},
        {"name": "C"},
        {"name": "D", "valueFrom": {}},
        {"value": "x"},
    ]
    [container] = containers({"containers": [{"name": "main", "env": env}]})
    assert container.environment == {"A": "1", "B": "1$(C)", "C": ""}


def test_references_are_expanded_as_kubernetes_does() -> None:
    assert expanded("$(A) $$(A) $(B) $A $$$(A) $(", {"A": "1"}) == "1 $(A) $(B) $A $1 $("


def test_variables_may_be_fields_of_the_pod() -> None:
    source: Json = {"fieldRef": {"fieldPath": "spec.nodeName"}}
    env: Json = [
        {"name": "NODE", "valueFrom": source},
        {"name": "ON", "value": "on $(NODE)"},
        {"name": "X", "valueFrom": {"secretKeyRef": {}}},
    ]
    [container] = containers({"containers": [{"name": "main", "env": env}]}, {"spec.nodeName": "node-a"})
    assert container.environment == {"NODE": "node-a", "ON": "on node-a"}


def test_sidecars_start_always_and_init_containers_until_they_succeed() -> None:
    side, init, main = Container("a", init=True, sidecar=True), Container("b", init=True), Container("c")
    policies = {
        policy: [restart_policy({"restartPolicy": policy} if policy else {}, one).value for one in (side, init, main)]
        for policy in ("", "Always", "OnFailure", "Never", "Nonsense")
    }
    assert policies == {
        "": ["Always", "OnFailure", "Always"],
        "Always": ["Always", "OnFailure", "Always"],
        "OnFailure": ["Always", "OnFailure", "OnFailure"],
        "Never": ["Always", "Never", "Never"],
        "Nonsense": ["Always", "OnFailure", "Always"],
    }


def test_the_grace_is_thirty_seconds_unless_it_is_a_number() -> None:
    assert grace_seconds({}) == 30.0
    assert grace_seconds({"terminationGracePeriodSeconds": 5}) == 5.0
    assert grace_seconds({"terminationGracePeriodSeconds": 0.5}) == 0.5
    for bad in ("5", True, -1, None):
        assert grace_seconds({"terminationGracePeriodSeconds": bad}) == 30.0


def test_counts_are_numbers_or_their_text() -> None:
    assert [whole_number(value) for value in (3, "4", 0)] == [3, 4, 0]
    assert [whole_number(value, 7) for value in ("1Gi", "-1", -1, True, None, 1.5, 10**9, "9" * 10, "²")] == [7] * 9


@settings(max_examples=40)
@given(rubbish)
def test_nothing_that_a_user_writes_raises(spec: JsonObject) -> None:
    assert all(count >= 0 for container in containers(spec) for count in container.devices.values())
    assert len(containers(spec)) >= 0
    assert list(ignored_fields(spec)) == sorted(ignored_fields(spec))
    assert list(ignored_job_fields(spec)) == sorted(ignored_job_fields(spec))
    assert all(problem.place and problem.message for problem in (*refused_fields(spec), *refused_job_fields(spec)))
    assert grace_seconds(spec) >= 0
    assert (deadline_seconds(spec) or 0) >= 0
