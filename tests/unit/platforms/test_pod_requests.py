"""How many devices a pod is counted with, and that nothing a user writes raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.metadata import Json, JsonObject
from akri.platforms.pod_requests import container_devices, device_count, device_requests

CAM = "akri.sh/cam-8120fe"
DOG = "akri.sh/dog"
NAMES = st.sampled_from(["containers", "initContainers", "resources", "limits", "requests", "restartPolicy", CAM])
RUBBISH: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


def _asking(name: str, *, sidecar: bool = False, **counts: int) -> JsonObject:
    asked = {CAM if key == "cam" else DOG: str(value) for key, value in counts.items()}
    return {"name": name, "resources": {"limits": asked}, **({"restartPolicy": "Always"} if sidecar else {})}


def test_devices_are_the_larger_of_the_biggest_init_container_and_the_sum_of_the_others() -> None:
    spec: JsonObject = {
        "initContainers": [_asking("i1", cam=2), _asking("i2", cam=5), _asking("side", sidecar=True, cam=1, dog=1)],
        "containers": [_asking("m1", cam=1), _asking("m2", cam=2)],
    }
    assert device_requests(spec) == {CAM: 5, DOG: 1}
    assert device_requests({"containers": [_asking("m1", cam=3), _asking("m2", cam=3)]}) == {CAM: 6}
    assert device_requests({"containers": [{"resources": {"requests": {CAM: 1}, "limits": {"cpu": "1", "memory": "1Gi"}}}]}) == {CAM: 1}


def test_an_init_container_counts_beside_the_sidecars_that_started_before_it() -> None:
    sidecar, init, main = _asking("side", sidecar=True, cam=2), _asking("init", cam=3), _asking("main", cam=1)
    assert device_requests({"initContainers": [sidecar, init], "containers": [main]}) == {CAM: 5}
    assert device_requests({"initContainers": [init, sidecar], "containers": [main]}) == {CAM: 3}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        ("4", 4),
        ("1k", 1000),
        ("2Ki", 2048),
        ("+1", 1),
        ("1M", 10**6),
        (-1, 0),
        ("-1", 0),
        (True, 0),
        (1.5, 0),
        ("1.5", 0),
        (None, 0),
        ("²", 0),
        ("x", 0),
    ],
)
def test_counts_are_read_as_the_api_server_prints_them(value: Json, expected: int) -> None:
    assert device_count(value) == expected


@given(st.dictionaries(NAMES, RUBBISH, max_size=4))
def test_nothing_that_a_user_writes_raises(spec: JsonObject) -> None:
    assert all(count >= 0 for count in (*device_requests(spec).values(), *container_devices(spec).values()))
