"""What is read of a PodSpec, what is said to be ignored, and that nothing a user writes raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from akri.core.metadata import Json, JsonObject
from akri.platforms.local.pod_spec import containers, expanded, grace_seconds, ignored_fields, whole_number

CAM = "akri.sh/cam-8120fe"
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["containers", "initContainers", "env", "resources", "limits", "command", "name", "terminationGracePeriodSeconds"])
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


def test_fields_that_are_not_honoured_are_named() -> None:
    container: JsonObject = {
        "name": "main",
        "securityContext": {},
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}],
        "resources": {"limits": {"memory": "1Gi", CAM: 1}},
    }
    spec: JsonObject = {"containers": [container], "hostNetwork": True, "restartPolicy": "Always", "affinity": {}}
    assert ignored_fields(spec) == (
        "containers[0].env[1].valueFrom",
        "containers[0].resources.limits.memory",
        "containers[0].securityContext",
        "hostNetwork",
    )
    assert ignored_fields({"restartPolicy": "Never", "containers": [{"name": "main", "command": ["x"]}]}) == ()


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
    assert grace_seconds(spec) >= 0
