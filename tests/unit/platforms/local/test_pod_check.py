"""What of a spec is ignored and what is refused, each with its path."""

from __future__ import annotations

import pytest

from akri.core.metadata import Json, JsonObject
from akri.platforms.local.pod_check import ignored_fields, ignored_job_fields, refused_fields, refused_job_fields
from akri.platforms.local.pod_fields import CONTAINER_FIELDS, JOB_FIELDS, POD_FIELDS, Treatment

CAM = "akri.sh/cam-8120fe"
GOOD: JsonObject = {"name": "main", "command": ["run"]}


def _pod(container: JsonObject, **fields: Json) -> JsonObject:
    return {"containers": [container], **fields}


def _places(spec: JsonObject) -> list[str]:
    return [problem.place for problem in refused_fields(spec)]


def test_ignored_fields_are_named_and_so_are_unknown_ones() -> None:
    container: JsonObject = {
        "name": "main",
        "livenessProbe": {},
        "lifecylce": {},
        "ports": [{"containerPort": 80}],
        "resources": {"limits": {"memory": "1Gi", CAM: 1}},
    }
    spec = _pod(container, hostNetwork=True, restartPolicy="Always", affinity={}, hostname="a")
    assert ignored_fields(spec) == (
        "containers[0].lifecylce",
        "containers[0].livenessProbe",
        "containers[0].resources.limits.memory",
        "hostname",
    )
    assert ignored_job_fields({"ttlSecondsAfterFinished": 5, "backoffLimit": 1, "selector": {}}) == ("ttlSecondsAfterFinished",)


def test_a_good_pod_and_a_good_job_are_not_refused() -> None:
    volumes: Json = [{"name": "dev", "hostPath": {"path": "/dev/bus"}}]
    mounted: JsonObject = {**GOOD, "volumeMounts": [{"name": "dev", "mountPath": "/dev/bus"}], "securityContext": {"privileged": True}}
    side: JsonObject = {"name": "side", "command": ["x"], "restartPolicy": "Always"}
    env: Json = [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}, {"name": "A", "value": "1"}]
    assert refused_fields(_pod({**mounted, "env": env}, volumes=volumes, initContainers=[side], restartPolicy="OnFailure")) == ()
    assert refused_job_fields({"completions": 3, "parallelism": 2, "completionMode": "NonIndexed", "suspend": False}) == ()


@pytest.mark.parametrize(
    ("container", "place"),
    [
        ({"name": "../up"}, "containers[0].name"),
        ({"name": ""}, "containers[0].name"),
        ({"name": "a" * 64}, "containers[0].name"),
        ({"name": 7}, "containers[0].name"),
        ({**GOOD, "restartPolicy": "Always"}, "containers[0].restartPolicy"),
        ({**GOOD, "restartPolicy": ["Always"]}, "containers[0].restartPolicy"),
        ({**GOOD, "envFrom": ["any"]}, "containers[0].envFrom"),
        ({**GOOD, "securityContext": {"runAsUser": 1000}}, "containers[0].securityContext.runAsUser"),
        ({**GOOD, "securityContext": {"runAsUser": 0}}, "containers[0].securityContext.runAsUser"),
        ({**GOOD, "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a"}}}]}, "containers[0].env[0].valueFrom"),
        ({**GOOD, "volumeMounts": [{"name": "none", "mountPath": "/data"}]}, "containers[0].volumeMounts[0]"),
    ],
)
def test_what_is_wrong_with_a_container_is_refused_with_its_place(container: JsonObject, place: str) -> None:
    assert _places(_pod(container)) == [place]


def test_what_is_wrong_with_a_pod_is_refused_all_at_once() -> None:
    spec: JsonObject = {
        "containers": [GOOD, GOOD],
        "initContainers": [{"name": "main", "restartPolicy": "Never"}],
        "restartPolicy": "Sometimes",
        "runtimeClassName": "kata",
        "schedulingGates": [{"name": "a"}],
        "securityContext": {"runAsNonRoot": True},
    }
    assert _places(spec) == [
        "runtimeClassName",
        "schedulingGates",
        "securityContext.runAsNonRoot",
        "restartPolicy",
        "initContainers[0].restartPolicy",
        "containers[0].name",
        "containers[1].name",
    ]
    assert _places({}) == ["containers"]
    assert [str(one) for one in refused_fields(_pod(GOOD, resourceClaims=[{}]))] == [
        "resourceClaims: refused on this platform: ask for devices with `resources.limits`"
    ]


@pytest.mark.parametrize("table", [POD_FIELDS, CONTAINER_FIELDS, JOB_FIELDS])
def test_each_refused_field_is_refused_with_words_and_each_ignored_one_named(table: object) -> None:
    for name, rule in (POD_FIELDS if table is POD_FIELDS else CONTAINER_FIELDS if table is CONTAINER_FIELDS else JOB_FIELDS).items():
        if table is JOB_FIELDS:
            refused, ignored = refused_job_fields({name: ["set"]}), ignored_job_fields({name: ["set"]})
        else:
            spec = _pod(GOOD, **{name: ["set"]}) if table is POD_FIELDS else _pod({**GOOD, name: ["set"]})
            refused, ignored = refused_fields(spec), ignored_fields(spec)
        if rule.treatment is Treatment.REFUSED:
            assert [problem.place.rpartition(".")[2] for problem in refused] == [name]
            assert rule.note in refused[0].message
        if rule.treatment is Treatment.IGNORED:
            assert [path.rpartition(".")[2] for path in ignored] == [name]
        if rule.treatment is Treatment.MEANINGLESS:
            assert (refused, ignored) == ((), ())


def test_jobs_of_other_kinds_are_refused() -> None:
    spec: JsonObject = {"completionMode": "Indexed", "successPolicy": {"rules": []}, "template": {"spec": {"restartPolicy": "Always"}}}
    assert [problem.place for problem in refused_job_fields(spec)] == ["successPolicy", "completionMode", "template.spec.restartPolicy"]
