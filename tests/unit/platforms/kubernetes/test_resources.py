"""Paths of the API, and names that must not leave them."""

from __future__ import annotations

import pytest

from akri.core.errors import InvalidValueError
from akri.core.ids import ObjectKey
from akri.platforms.kubernetes.resources import CONFIGURATIONS, INSTANCES, JOBS, NODES, PODS, REPORTS, SECRETS

KEY = ObjectKey("cameras", "cam-8120fe")


def test_paths_of_the_core_group() -> None:
    assert PODS.collection() == "/api/v1/pods"
    assert PODS.collection("cameras") == "/api/v1/namespaces/cameras/pods"
    assert PODS.object(KEY) == "/api/v1/namespaces/cameras/pods/cam-8120fe"
    assert PODS.api_version == "v1"


def test_paths_of_other_groups() -> None:
    assert INSTANCES.collection() == "/apis/akri.sh/v0/instances"
    assert INSTANCES.object(KEY) == "/apis/akri.sh/v0/namespaces/cameras/instances/cam-8120fe"
    assert CONFIGURATIONS.subresource(KEY, "status") == "/apis/akri.sh/v0/namespaces/cameras/configurations/cam-8120fe/status"
    assert REPORTS.collection("a") == "/apis/akri.sh/v0/namespaces/a/discoveryreports"
    assert (JOBS.collection(), JOBS.api_version) == ("/apis/batch/v1/jobs", "batch/v1")


def test_nodes_have_no_namespace() -> None:
    assert NODES.object(ObjectKey("", "node-a")) == "/api/v1/nodes/node-a"
    assert NODES.collection("ignored") == "/api/v1/nodes"


@pytest.mark.parametrize("name", [".", "..", "a/b", "a%2Fb", "a?watch=1", "a#b", "../../secrets/x"])
def test_no_name_reaches_another_path(name: str) -> None:
    with pytest.raises(InvalidValueError, match=r"metadata\.name"):
        SECRETS.object(ObjectKey("default", name))
    with pytest.raises(InvalidValueError, match=r"metadata\.namespace"):
        SECRETS.collection(name)
