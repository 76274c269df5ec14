"""Our definitions accept what upstream's accept and what we print, hold the bounds, and know every field that the codec knows."""

from __future__ import annotations

import json
from typing import cast

import pytest
from attrs import AttrsInstance, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from akri.core import codec_documents as shapes
from akri.core.codec import print_configuration, print_instance, print_report, print_status
from akri.core.configuration import Configuration
from akri.core.crd import configuration_crd, custom_resource_definitions, instance_crd, report_crd
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject
from akri.core.reports import ConfigurationStatus, DiscoveryReport
from tests.unit.core.schema import flaws, schema_of
from tests.unit.core.strategies import configurations, instances, reports, statuses
from tests.unit.core.upstream_samples import samples, upstream_crd

OURS = {"configuration": schema_of(configuration_crd()), "instance": schema_of(instance_crd()), "report": schema_of(report_crd())}
UPSTREAMS = {name: schema_of(upstream_crd(name)) for name in ("configuration", "instance")}
few = settings(max_examples=50)


def at(schema: JsonObject, *path: str) -> JsonObject:
    for name in path:
        schema = cast("JsonObject", schema[name])
    return schema


def spec(name: str) -> JsonObject:
    return at(OURS[name], "properties", "spec", "properties")


def joined(one: dict[str, Json], two: dict[str, Json]) -> Json:
    return {**two, **one}


def documents(schema: JsonObject, depth: int = 0) -> st.SearchStrategy[Json]:
    """Documents for a schema, right in most places and wrong in some."""
    wrong: st.SearchStrategy[Json] = st.sampled_from([None, True, 0, -1, "", "x", [], {}])
    kind = schema.get("type")
    right: st.SearchStrategy[Json] = wrong
    if kind == "object":
        properties = cast("dict[str, JsonObject]", schema.get("properties", {}))
        some = {name: documents(inner, depth + 1) for name, inner in properties.items()}
        required = set(cast("list[str]", schema.get("required", [])))
        known = st.fixed_dictionaries(
            {name: member for name, member in some.items() if name in required},
            optional={name: member for name, member in some.items() if name not in required},
        )
        rest = schema.get("additionalProperties")
        inner = documents(cast("JsonObject", rest)) if rest else wrong
        free = st.dictionaries(st.sampled_from("ab"), inner, max_size=2 if rest else 0)
        right = st.builds(joined, known, free)
    elif kind == "array":
        right = st.lists(documents(cast("JsonObject", schema["items"]), depth + 1), max_size=2)
    elif kind == "integer":
        right = st.integers(-1, 1000)  # within the bounds that ours add
    elif kind == "boolean":
        right = st.booleans()
    elif kind == "string":
        right = st.sampled_from(["", "a", "A_1", "1a", "a-b"])
    return st.one_of(right, right, right, right, right, wrong) if depth else right


@pytest.mark.parametrize("name", ["configuration", "instance"])
def test_what_upstreams_schema_accepts_ours_accepts(name: str) -> None:
    @settings(max_examples=150)
    @given(documents(UPSTREAMS[name]))
    def check(document: Json) -> None:
        if not list(flaws(document, UPSTREAMS[name])):
            assert list(flaws(document, OURS[name])) == []

    check()


@pytest.mark.parametrize("name", ["configuration", "instance"])
def test_what_ours_accepts_upstreams_accepts(name: str) -> None:
    @settings(max_examples=150)
    @given(documents(UPSTREAMS[name]))
    def check(document: Json) -> None:
        if not list(flaws(document, OURS[name])):
            assert list(flaws(document, UPSTREAMS[name])) == []

    check()


@pytest.mark.parametrize(
    ("kind", "document"),
    [(kind, document) for kind in ("Configuration", "Instance") for document in samples(kind)],
)
def test_upstreams_samples_are_accepted(kind: str, document: JsonObject) -> None:
    assert list(flaws(document, UPSTREAMS[kind.lower()])) == []
    assert list(flaws(document, OURS[kind.lower()])) == []


def test_what_conditions_refuse_the_schema_accepts() -> None:
    document: Json = {"spec": {"capacity": 0, "brokerSpec": {"brokerPodSpec": {}, "brokerJobSpec": {}}, "discoveryHandler": {"name": "?"}}}
    assert list(flaws(document, OURS["configuration"])) == []


@few
@given(configurations, statuses)
def test_printed_configurations_are_accepted(configuration: Configuration, status: ConfigurationStatus) -> None:
    document = {**print_configuration(configuration), "status": print_status(status)}
    assert list(flaws(document, OURS["configuration"])) == []


@few
@given(instances)
def test_printed_instances_are_accepted(instance: Instance) -> None:
    if len(set(instance.nodes)) == len(instance.nodes) and instance.capacity <= 1000:
        assert list(flaws(print_instance(instance), OURS["instance"])) == []


@few
@given(reports)
def test_printed_reports_are_accepted(report: DiscoveryReport) -> None:
    assert list(flaws(print_report(report), OURS["report"])) == []


def instance_spec(**more: Json) -> Json:
    return {"spec": {"configurationName": "c", "cdiName": "x", "capacity": 1, **more}}


@pytest.mark.parametrize(
    ("largest", "flaw"),
    [
        ({"nodes": [str(number) for number in range(1000)]}, ".spec.nodes: maxItems"),
        ({"deviceUsage": {str(number): "" for number in range(1000)}}, ".spec.deviceUsage: maxProperties"),
        ({"brokerProperties": {str(number): "" for number in range(256)}}, ".spec.brokerProperties: maxProperties"),
        ({"capacity": 1000}, ".spec.capacity: maximum"),
        ({"configurationName": "x" * 4096}, ".spec.configurationName: maxLength"),
        ({"cdiName": "x" * 4096}, ".spec.cdiName: maxLength"),
        ({"nodes": ["x" * 4096]}, ".spec.nodes[0]: maxLength"),
        ({"deviceUsage": {"a": "x" * 4096}}, ".spec.deviceUsage.a: maxLength"),
        ({"brokerProperties": {"a": "x" * 4096}}, ".spec.brokerProperties.a: maxLength"),
    ],
)
def test_the_bounds_that_cel_needs(largest: dict[str, Json], flaw: str) -> None:
    assert list(flaws(instance_spec(**largest), OURS["instance"])) == []
    (name, value), *_ = largest.items()
    larger: Json
    if flaw.endswith("maxItems"):
        larger = [*cast("list[Json]", value), "one more"]
    elif flaw.endswith("maximum"):
        larger = cast("int", value) + 1
    elif flaw.endswith("maxProperties"):
        larger = {**cast("JsonObject", value), "one more": ""}
    else:
        larger = cast("Json", json.loads(json.dumps(value).replace("x" * 4096, "x" * 4097)))
    assert list(flaws(instance_spec(**{name: larger}), OURS["instance"])) == [flaw]


def test_a_configurations_broker_properties_are_bounded_too() -> None:
    assert at(spec("configuration"), "brokerProperties")["maxProperties"] == 256
    assert at(spec("configuration"), "brokerProperties", "additionalProperties") == {"type": "string", "maxLength": 4096}


def test_nodes_are_a_set_and_usage_is_granular() -> None:
    assert list(flaws(instance_spec(nodes=["a", "a"]), OURS["instance"])) == [".spec.nodes: duplicate"]
    assert at(spec("instance"), "deviceUsage")["x-kubernetes-map-type"] == "granular"
    assert [at(spec("instance"), name)["default"] for name in ("nodes", "deviceUsage", "brokerProperties", "shared")] == [[], {}, {}, False]


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("instance", "configurationName"),
        ("instance", "cdiName"),
        ("instance", "shared"),
        ("report", "configurationName"),
        ("report", "nodeName"),
    ],
)
def test_identity_never_changes(schema: str, name: str) -> None:
    assert at(spec(schema), name)["x-kubernetes-validations"] == [{"rule": "self == oldSelf", "message": f"{name} never changes"}]


def test_nothing_else_has_rules() -> None:
    assert json.dumps([dict(OURS[name]) for name in OURS]).count("oldSelf") == 5


@pytest.mark.parametrize(
    ("schema", "path", "shape"),
    [
        ("configuration", (), shapes.ConfigurationSpecDocument),
        ("configuration", ("discoveryHandler", "properties"), shapes.DiscoveryHandlerDocument),
        ("configuration", ("discoveryHandler", "properties", "discoveryProperties", "items", "properties"), shapes.PropertyDocument),
        (
            "configuration",
            ("discoveryHandler", "properties", "discoveryProperties", "items", "properties", "valueFrom", "properties"),
            shapes.PropertySourceDocument,
        ),
        ("configuration", ("brokerSpec", "properties"), shapes.BrokerDocument),
        ("instance", (), shapes.InstanceSpecDocument),
        ("report", (), shapes.ReportSpecDocument),
        ("report", ("handlers", "items", "properties"), shapes.HandlerReportDocument),
    ],
)
def test_schema_and_codec_know_the_same_fields(schema: str, path: tuple[str, ...], shape: type[AttrsInstance]) -> None:
    def snake(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

    assert {snake(name) for name in at(spec(schema), *path)} == {attribute.name for attribute in fields(shape)}


def test_what_surrounds_the_schemas() -> None:
    definitions = custom_resource_definitions()
    assert [at(definition, "metadata")["name"] for definition in definitions] == [
        "configurations.akri.sh",
        "instances.akri.sh",
        "discoveryreports.akri.sh",
    ]
    for definition in definitions:
        assert definition["apiVersion"] == "apiextensions.k8s.io/v1"
        assert definition["kind"] == "CustomResourceDefinition"
        assert at(definition, "metadata")["annotations"] == {"akri.sh/schema-version": "1"}
        assert (at(definition, "spec")["group"], at(definition, "spec")["scope"]) == ("akri.sh", "Namespaced")
        (version,) = cast("list[JsonObject]", at(definition, "spec")["versions"])
        assert (version["name"], version["served"], version["storage"]) == ("v0", True, True)


@pytest.mark.parametrize("name", ["configuration", "instance"])
def test_names_and_columns_are_upstreams(name: str) -> None:
    ours = configuration_crd() if name == "configuration" else instance_crd()
    theirs = cast("JsonObject", upstream_crd(name))
    assert at(ours, "spec", "names") == at(theirs, "spec", "names")
    (our_version,), (their_version,) = (cast("list[JsonObject]", at(item, "spec")["versions"]) for item in (ours, theirs))
    columns = [
        [(column["name"], column["type"], column["jsonPath"]) for column in cast("list[JsonObject]", version["additionalPrinterColumns"])]
        for version in (our_version, their_version)
    ]
    assert columns[0] == columns[1]


def test_the_status_is_a_subresource_of_configurations_alone() -> None:
    versions = [cast("list[JsonObject]", at(item, "spec")["versions"])[0] for item in custom_resource_definitions()]
    assert [version.get("subresources") for version in versions] == [{"status": {}}, None, None]
    assert at(OURS["configuration"], "properties", "status", "properties", "conditions")["x-kubernetes-list-map-keys"] == ["type"]


def test_the_names_of_reports() -> None:
    names = at(report_crd(), "spec", "names")
    assert names == {
        "kind": "DiscoveryReport",
        "plural": "discoveryreports",
        "singular": "discoveryreport",
        "shortNames": ["akrir"],
        "categories": [],
    }
