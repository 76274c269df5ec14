"""When a pod has ended for the agent of its node, and what it asks for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.ids import ObjectKey, ResourceName
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.pod_observations import pod_observation
from akri.platforms.kubernetes.reading import members

CAM = ResourceName("akri.sh/cam-8120fe")
RUNNING: JsonObject = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED: JsonObject = {"terminated": {"exitCode": 0}}
WAITING: JsonObject = {"waiting": {"reason": "PodInitializing"}}


def _pod(
    phase: str, main: Sequence[JsonObject], init: Sequence[JsonObject] = (), *, deleting: bool = False, containers: int = 1, inits: int = 0
) -> JsonObject:
    metadata: dict[str, Json] = {"namespace": "default", "name": "user", "uid": "p1"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    limits: JsonObject = {"limits": {CAM: "2"}, "requests": {CAM: "2"}}
    spec: JsonObject = {
        "containers": [{"name": f"main{index}", "resources": limits} for index in range(containers)],
        "initContainers": [{"name": f"init{index}"} for index in range(inits)],
    }
    status: JsonObject = {
        "phase": phase,
        "containerStatuses": [{"name": f"main{index}", "state": state} for index, state in enumerate(main)],
        "initContainerStatuses": [{"name": f"init{index}", "state": state} for index, state in enumerate(init)],
    }
    return {"metadata": metadata, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("pod", "ended"),
    [
        (_pod("Pending", []), False),
        (_pod("Running", [RUNNING]), False),
        (_pod("Succeeded", [ENDED]), True),
        (_pod("Failed", [ENDED]), True),
        (_pod("Failed", []), True),  # refused by its kubelet: nothing was ever started
        (_pod("Failed", [WAITING]), True),
        (_pod("Failed", [RUNNING]), False),  # written by somebody else than its kubelet, whose node is away
        (_pod("Running", [ENDED]), False),  # it starts again
        (_pod("Running", [ENDED], deleting=True), True),
        (_pod("Running", [RUNNING], deleting=True), False),
        (_pod("Running", [ENDED, RUNNING], deleting=True, containers=2), False),
        (_pod("Running", [ENDED], deleting=True, containers=2), False),  # of the other one nothing is known
        (_pod("Pending", [], deleting=True), False),
        (_pod("Pending", [WAITING], [ENDED], deleting=True, inits=1), False),  # the kubelet may not know of its deletion yet
        (_pod("Pending", [ENDED], [RUNNING], deleting=True, inits=1), False),  # a sidecar lives
        (_pod("Running", [ENDED], [ENDED], deleting=True, inits=1), True),
        (_pod("Unknown", [ENDED]), False),
    ],
)
def test_a_pod_has_ended_when_nothing_of_it_runs_or_will(pod: JsonObject, ended: bool) -> None:
    seen = pod_observation(pod)
    assert (seen.key, seen.uid, seen.ended) == (ObjectKey("default", "user"), "p1", ended)


@pytest.mark.parametrize(
    ("given", "deleting", "told", "expected"),
    [
        (None, False, None, (30.0, None)),
        (0, False, None, (0.0, None)),
        (600, False, 5, (600.0, None)),
        (600, True, 5, (600.0, 5.0)),
        (600, True, 0, (600.0, 0.0)),
        (600, True, None, (600.0, None)),
        (-1, True, -1, (30.0, 30.0)),
        (True, True, "5", (30.0, 30.0)),
    ],
)
def test_how_long_containers_may_take_to_end(given: Json, deleting: bool, told: Json, expected: tuple[float, float | None]) -> None:
    pod = _pod("Running", [RUNNING], deleting=deleting)
    spec = {**members(pod["spec"])} | ({} if given is None else {"terminationGracePeriodSeconds": given})
    metadata = {**members(pod["metadata"])} | ({} if told is None else {"deletionGracePeriodSeconds": told})
    seen = pod_observation({**pod, "spec": spec, "metadata": metadata})
    assert (seen.grace, seen.told) == expected


def test_an_ephemeral_container_counts_like_any_other() -> None:
    pod = _pod("Running", [ENDED], deleting=True)
    spec, status = pod["spec"], pod["status"]
    assert isinstance(spec, dict)
    assert isinstance(status, dict)
    ephemeral: JsonObject = {"name": "debug", "state": RUNNING}
    debugged: JsonObject = {
        **pod,
        "spec": {**spec, "ephemeralContainers": [{"name": "debug"}]},
        "status": {**status, "ephemeralContainerStatuses": [ephemeral]},
    }
    assert pod_observation(pod).ended
    assert not pod_observation(debugged).ended


def test_its_requests_are_counted_together() -> None:
    assert pod_observation(_pod("Running", [RUNNING] * 2, containers=2)).requests == {CAM: 4}


@given(
    st.lists(st.sampled_from([RUNNING, ENDED, WAITING]), min_size=1, max_size=3),
    st.lists(st.sampled_from([RUNNING, ENDED, WAITING]), max_size=2),
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    st.booleans(),
)
def test_a_pod_with_a_running_container_never_counts_as_ended(
    main: list[JsonObject], init: list[JsonObject], phase: str, deleting: bool
) -> None:
    pod = _pod(phase, main, init, deleting=deleting, containers=len(main), inits=len(init))
    if RUNNING in main + init:
        assert not pod_observation(pod).ended
