"""What a user wrote is taken as it is or refused, with every problem at its path."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akri.core.codec import read_configuration
from akri.core.configuration import JobBroker, PodBroker
from akri.core.errors import InvalidDocumentError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.core.properties import FromConfigMap, FromSecret, Literal
from tests.unit.core.strategies import json_objects

HANDLER: JsonObject = {"name": "udev"}


def document(spec: dict[str, Json] | None = None, metadata: dict[str, Json] | None = None, **heading: Json) -> JsonObject:
    return {
        "apiVersion": "akri.sh/v0",
        "kind": "Configuration",
        "metadata": {"name": "cameras", **(metadata or {})},
        "spec": {"discoveryHandler": HANDLER, **(spec or {})},
        **heading,
    }


def problems(written: JsonObject) -> list[str]:
    with pytest.raises(InvalidDocumentError) as caught:
        read_configuration(written)
    return [str(problem) for problem in caught.value.problems]


def handler(**fields: Json) -> JsonObject:
    return document({"discoveryHandler": {"name": "udev", **fields}})


def test_the_least_configuration() -> None:
    configuration = read_configuration(document())
    assert configuration.key == ObjectKey("default", "cameras")
    assert configuration.capacity == 1


def test_everything_a_server_adds_is_accepted() -> None:
    metadata: dict[str, Json] = {
        "namespace": "x",
        "uid": "u",
        "resourceVersion": "12",
        "generation": 2,
        "creationTimestamp": "2024-05-01T14:00:00+02:00",
        "deletionTimestamp": "2024-05-01T12:00:00Z",
        "deletionGracePeriodSeconds": 0,
        "managedFields": [{"manager": "kubectl"}],
        "selfLink": "",
        "generateName": "",
        "ownerReferences": [{"name": "o", "uid": "u", "apiVersion": "v1", "kind": "K", "controller": None, "blockOwnerDeletion": True}],
        "finalizers": ["f"],
        "labels": {"a": "b"},
        "annotations": {"akri.sh/grace": "10"},
    }
    read = read_configuration(document(metadata=metadata, status={"conditions": []})).metadata
    assert (read.key, read.uid, read.revision, read.generation, read.deleting) == (ObjectKey("x", "cameras"), "u", 12, 2, True)
    assert read.created == 1714564800.0
    assert (read.finalizers, dict(read.labels), read.owners[0].name) == (("f",), {"a": "b"}, "o")


def test_nothing_written_means_absent() -> None:
    empty: dict[str, Json] = {
        "capacity": None,
        "brokerSpec": {"brokerPodSpec": None, "brokerJobSpec": {}},
        "instanceServiceSpec": None,
        "brokerProperties": None,
        "discoveryHandler": {"name": "udev", "discoveryDetails": None, "discoveryProperties": None},
    }
    configuration = read_configuration(document(empty, {"labels": None, "namespace": None}))
    assert configuration.capacity == 1
    assert configuration.broker == JobBroker({})
    assert read_configuration(document({"brokerSpec": {}})).broker == read_configuration(document()).broker


def test_an_empty_broker_spec_is_one() -> None:
    assert read_configuration(document({"brokerSpec": {"brokerPodSpec": {}}})).broker == PodBroker({})


def test_properties_of_every_kind() -> None:
    properties: Json = [
        {"name": "a", "value": ""},
        {"name": "b", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "c", "value": None, "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "namespace": "n", "optional": True}}},
    ]
    assert read_configuration(handler(discoveryProperties=properties)).discovery.properties == (
        Literal("a", ""),
        FromSecret("b", ObjectKey("default", "s"), "k"),
        FromConfigMap("c", ObjectKey("n", "m"), "k", optional=True),
    )


CAPACITY = "expected a whole number from 1 to 1000"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"capacity": 0}, f"spec.capacity: 0 is not valid: {CAPACITY}"),
        ({"capacity": 1001}, f"spec.capacity: 1001 is not valid: {CAPACITY}"),
        ({"capacity": "3"}, f"spec.capacity: '3' is a text: {CAPACITY}"),
        ({"capacity": True}, f"spec.capacity: True is a truth value: {CAPACITY}"),
        ({"capacity": 1.0}, f"spec.capacity: 1.0 is a number: {CAPACITY}"),
        ({"capacity": [1]}, f"spec.capacity: [1] is a list: {CAPACITY}"),
        ({"capacity": {}}, f"spec.capacity: {{}} is an object: {CAPACITY}"),
        ({"capcity": 3}, "spec.capcity: unknown field: did you mean 'capacity'?"),
        ({"xyz": None}, "spec.xyz: unknown field"),
        ({"brokerSpec": []}, "spec.brokerSpec: [] is a list: expected an object"),
        (
            {"brokerSpec": {"brokerPodSpec": {}, "brokerJobSpec": {}}},
            "spec.brokerSpec: brokerPodSpec and brokerJobSpec are both there: expected one of them, or none",
        ),
        ({"instanceServiceSpec": "x"}, "spec.instanceServiceSpec: 'x' is a text: expected an object"),
        ({"brokerProperties": ["a"]}, "spec.brokerProperties: ['a'] is a list: expected an object"),
        ({"brokerProperties": {"A": 800}}, "spec.brokerProperties.A: 800 is a whole number: expected a text (quotes make a text of it)"),
        ({"brokerProperties": {"A": None}}, "spec.brokerProperties.A: None is no value: expected a text"),
        (
            {"brokerProperties": {"A=": "1"}},
            "spec.brokerProperties.A=: 'A=' is not valid: expected a name that is not empty and has no '='",
        ),
        ({"discoveryHandler": None}, "spec.discoveryHandler: is missing: expected an object"),
        ({"discoveryHandler": {}}, "spec.discoveryHandler.name: is missing: expected the name of a discovery handler"),
        ({"discoveryHandler": {"name": 1}}, "spec.discoveryHandler.name: 1 is a whole number: expected a text (quotes make a text of it)"),
        (
            {"discoveryHandler": {"name": ""}},
            "spec.discoveryHandler.name: '' is not valid: expected 1 to 253 characters without control characters",
        ),
    ],
)
def test_problems_of_the_spec(spec: dict[str, Json], expected: str) -> None:
    assert problems(document(spec)) == [expected]


HANDLER_PROBLEMS: list[tuple[dict[str, Json], str]] = [
    ({"discoveryDetails": {"a": 1}}, "Details: {'a': 1} is an object: expected a text: its YAML goes after 'discoveryDetails: |'"),
    ({"discoveryProperties": "ab"}, "Properties: 'ab' is a text: expected a list"),
    ({"discoveryProperties": {}}, "Properties: {} is an object: expected a list"),
    ({"discoveryProperties": [3]}, "Properties[0]: 3 is a whole number: expected an object"),
    (
        {"discoveryProperties": [{"value": "1"}]},
        "Properties[0].name: is missing: expected letters, digits and '_', not beginning with a digit",
    ),
    (
        {"discoveryProperties": [{"name": "a-b", "value": "1"}]},
        "Properties[0].name: 'a-b' is not valid: expected letters, digits and '_', not beginning with a digit",
    ),
    ({"discoveryProperties": [{"name": "a"}]}, "Properties[0]: value and valueFrom are both missing: expected one of them"),
    (
        {"discoveryProperties": [{"name": "a", "value": "", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        "Properties[0]: value and valueFrom are both there: expected one of them",
    ),
    (
        {"discoveryProperties": [{"name": "a", "valueFrom": {}}]},
        "Properties[0].valueFrom: secretKeyRef and configMapKeyRef are both missing: expected one of them",
    ),
    (
        {
            "discoveryProperties": [
                {"name": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}, "configMapKeyRef": {"name": "s", "key": "k"}}}
            ]
        },
        "Properties[0].valueFrom: secretKeyRef and configMapKeyRef are both there: expected one of them",
    ),
    (
        {"discoveryProperties": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
        "Properties[0].valueFrom.secretKeyRef.key: is missing: expected a name",
    ),
    (
        {"discoveryProperties": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "", "key": "k"}}}]},
        "Properties[0].valueFrom.secretKeyRef.name: '' is not valid: expected a name that is not empty, without control characters",
    ),
    (
        {"discoveryProperties": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "a\n", "key": "k", "optional": "no"}}}]},
        "Properties[0].valueFrom.secretKeyRef.name: 'a\\n' is not valid: expected a name that is not empty, without control characters",
    ),
]


@pytest.mark.parametrize(("written", "expected"), HANDLER_PROBLEMS)
def test_problems_of_the_discovery_handler(written: dict[str, Json], expected: str) -> None:
    assert problems(handler(**written))[0] == f"spec.discoveryHandler.discovery{expected}"


METADATA_PROBLEMS: list[tuple[dict[str, Json], str]] = [
    ({"name": None}, "metadata.name: is missing: expected a name"),
    ({"resourceVersion": 3}, "metadata.resourceVersion: 3 is a whole number: expected a text (quotes make a text of it)"),
    ({"resourceVersion": "x"}, "metadata.resourceVersion: 'x' is not valid: expected a whole number as a text"),
    ({"generation": -1}, "metadata.generation: -1 is not valid: expected 0 or more"),
    ({"generation": "1"}, "metadata.generation: '1' is a text: expected a whole number, 0 or more"),
    (
        {"creationTimestamp": "yesterday"},
        "metadata.creationTimestamp: 'yesterday' is not valid: expected a time as in '2024-05-01T12:00:00Z'",
    ),
    (
        {"creationTimestamp": "2024-05-01T12:00:00"},
        "metadata.creationTimestamp: '2024-05-01T12:00:00' is not valid: expected a time as in '2024-05-01T12:00:00Z'",
    ),
    ({"labels": {"a": 1}}, "metadata.labels.a: 1 is a whole number: expected a text (quotes make a text of it)"),
    ({"finalizers": "ab"}, "metadata.finalizers: 'ab' is a text: expected a list"),
    ({"finalizers": ["a", 1]}, "metadata.finalizers[1]: 1 is a whole number: expected a text (quotes make a text of it)"),
    ({"ownerReferences": [{}]}, "metadata.ownerReferences[0].name: is missing: expected a text"),
    (
        {"ownerReferences": [{"name": "a", "controller": "yes"}]},
        "metadata.ownerReferences[0].controller: 'yes' is a text: expected true or false",
    ),
    ({"managedFields": [{"a": [float("nan")]}]}, "metadata.managedFields[0].a[0]: nan is not valid: expected a value that JSON has"),
    ({"lables": {}}, "metadata.lables: unknown field: did you mean 'labels'?"),
    (
        {"annotations": {"akri.sh/grace": "5m"}},
        "metadata.annotations.akri.sh/grace: '5m' is not valid: expected seconds, as in '300' or '0.5'",
    ),
    (
        {"annotations": {"akri.sh/poll-interval": ""}},
        "metadata.annotations.akri.sh/poll-interval: '' is not valid: expected seconds, as in '300' or '0.5'",
    ),
]


@pytest.mark.parametrize(("metadata", "expected"), METADATA_PROBLEMS)
def test_problems_of_the_metadata(metadata: dict[str, Json], expected: str) -> None:
    assert problems(document(metadata=metadata)) == [expected]


@pytest.mark.parametrize("name", ["x" * 55, "Cameras", "a\n"])
def test_a_bad_name_is_a_problem(name: str) -> None:
    found = problems(document(metadata={"name": name}))
    assert found[-1].startswith("metadata.name: ")
    assert "expected at most 54 characters: lower-case letters, digits, '-' and '.' (the kubelet's limit for resource names)" in " ".join(
        found
    )


def test_the_heading_is_checked() -> None:
    assert problems(document(apiVersion=None, kind=None)) == [
        "apiVersion: is missing: expected 'akri.sh/v0'",
        "kind: is missing: expected 'Configuration'",
    ]
    assert problems(document(apiVersion="akri.sh/v1", kind="Config")) == [
        "apiVersion: 'akri.sh/v1' is not valid: expected 'akri.sh/v0'",
        "kind: 'Config' is not valid: expected 'Configuration'",
    ]
    assert problems(document(kind=3)) == ["kind: 3 is a whole number: expected a text (quotes make a text of it)"]


def test_all_problems_come_at_once_and_the_title_says_of_what() -> None:
    spec: dict[str, Json] = {
        "capacity": 0,
        "discoveryHandler": {"discoveryProperties": [{"name": "1"}, {"nam": "b", "value": 1}]},
        "brokerProperties": {"A": 1, "B=": "\0"},
        "brokerSpec": {"brokerPodSpec": {}, "brokerJobSpec": {"a": cast("Json", {1})}, "x": 1},
        "z": 1,
        "y": 2,
    }
    with pytest.raises(InvalidDocumentError) as caught:
        read_configuration(document(spec, {"name": "-"}, extra=1))
    assert caught.value.title == "Configuration default/-"
    assert [problem.place for problem in caught.value.problems] == [
        "metadata.name",
        "spec.discoveryHandler.name",
        "spec.discoveryHandler.discoveryProperties[0]",
        "spec.discoveryHandler.discoveryProperties[0].name",
        "spec.discoveryHandler.discoveryProperties[1].name",
        "spec.discoveryHandler.discoveryProperties[1].value",
        "spec.discoveryHandler.discoveryProperties[1].nam",
        "spec.capacity",
        "spec.brokerSpec",
        "spec.brokerSpec.brokerJobSpec.a",
        "spec.brokerSpec.x",
        "spec.brokerProperties.A",
        "spec.brokerProperties.B=",
        "spec.brokerProperties.B=",
        "spec.y",
        "spec.z",
        "extra",
    ]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (float("inf"), ".a"),
        ([0, {"b": b"x"}], ".a[1].b"),
        ({"b": {"c": [[object()]]}}, ".a.b.c[0][0]"),
        (bytearray(b""), ".a"),
    ],
)
def test_specs_that_are_handed_through_hold_json_only(value: object, place: str) -> None:
    (problem,) = problems(document({"instanceServiceSpec": {"a": cast("Json", value)}}))
    assert problem.startswith(f"spec.instanceServiceSpec{place}: ")
    assert problem.endswith("is not valid: expected a value that JSON has")


def test_keys_of_specs_are_texts() -> None:
    spec = cast("Json", {"a": {1: 2}})
    assert problems(document({"instanceServiceSpec": spec})) == ["spec.instanceServiceSpec.a: key 1 is not a text"]


def test_a_deep_spec_is_no_accident() -> None:
    deep: Json = 1
    for _ in range(5000):
        deep = [deep]
    service = read_configuration(document({"instanceServiceSpec": {"a": deep}})).instance_service
    assert service is not None
    assert service["a"] is deep


def test_a_document_without_anything() -> None:
    assert problems({}) == [
        "apiVersion: is missing: expected 'akri.sh/v0'",
        "kind: is missing: expected 'Configuration'",
        "metadata: is missing: expected an object",
        "spec: is missing: expected an object",
    ]
    assert problems({"metadata": 3, "spec": "x"})[2:] == [
        "metadata: 3 is a whole number: expected an object",
        "spec: 'x' is a text: expected an object",
    ]


@settings(max_examples=50)
@given(json_objects, st.sampled_from(["", "metadata", "spec", "spec.discoveryHandler", "spec.brokerSpec"]))
def test_any_document_is_read_or_refused_with_problems(rubbish: JsonObject, where: str) -> None:
    written = dict(document())
    match where:
        case "":
            written |= rubbish
        case "metadata" | "spec":
            written[where] = {**cast("JsonObject", written[where]), **rubbish}
        case _:
            written["spec"] = {"discoveryHandler": HANDLER, where.removeprefix("spec."): rubbish}
    try:
        found = len(read_configuration(written).key.name)
    except InvalidDocumentError as error:
        found = len(error.problems)
    assert found > 0
