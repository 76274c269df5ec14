"""Names equal upstream's, fit their limits, and two things never get one kubelet resource."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Local, Shared
from akri.core.errors import InvalidValueError
from akri.core.ids import ConfigurationName, DeviceId, HandlerName, InstanceName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta
from akri.core.naming import (
    NameRefusal,
    cdi_name,
    configuration_service_labels,
    configuration_service_name,
    digest,
    environment_suffix,
    fitted,
    instance_name,
    instance_service_labels,
    instance_service_name,
    job_labels,
    job_name,
    name_collisions,
    node_name_of,
    pod_labels,
    pod_name,
    report_name,
    resource_name,
)

CAMERAS = ConfigurationName("cameras")
INSTANCE = InstanceName("cameras-8120fe")
NODE = NodeName("node-a")
LONG = ConfigurationName("c" * 54)
LONG_INSTANCE = instance_name(LONG, "8120fe12")
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,52}[a-z0-9])?", fullmatch=True).map(ConfigurationName)


@pytest.mark.parametrize(("device_id", "expected"), [("foo0", "8120fe"), ("foo1", "a19705")])
def test_digests_of_shared_devices_are_upstreams(device_id: str, expected: str) -> None:
    assert digest(DeviceId(device_id), Shared()) == expected


def test_digest_of_a_local_device_is_taken_over_its_id_with_the_node_appended() -> None:
    assert digest(DeviceId("/dev/video0"), Local(NODE)) == digest(DeviceId("/dev/video0node-a"), Shared())
    assert digest(DeviceId("/dev/video0"), Local(NODE)) != digest(DeviceId("/dev/video0"), Local(NodeName("node-b")))


def test_a_longer_digest_has_more_bytes_and_another_value() -> None:
    assert digest(DeviceId("foo0"), Shared(), 4) == "a3b4442a"
    assert len(digest(DeviceId("foo0"), Shared(), 32)) == 64


@pytest.mark.parametrize("size", [2, 33])
def test_a_digest_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(InvalidValueError, match=f"digest size: {size} is not valid: expected a number of bytes from 3 to 32"):
        digest(DeviceId("foo0"), Shared(), size)


@given(st.text())
def test_any_text_has_a_digest(device_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{6}", digest(DeviceId(device_id), Shared()))


def test_half_of_a_surrogate_pair_has_a_digest() -> None:
    assert len(digest(DeviceId("\ud800"), Shared())) == 6


def test_names_made_of_the_digest() -> None:
    assert instance_name(CAMERAS, "8120fe") == "cameras-8120fe"
    assert str(cdi_name(CAMERAS, "8120fe")) == "akri.sh/cameras=8120fe"
    assert environment_suffix(INSTANCE) == "8120FE"
    assert environment_suffix(InstanceName("a-b-c-00ff")) == "00FF"
    assert resource_name(INSTANCE) == "akri.sh/cameras-8120fe"
    assert resource_name(CAMERAS) == "akri.sh/cameras"


def test_short_names_are_upstreams() -> None:
    assert pod_name(INSTANCE, NODE, shared=True) == "node-a-cameras-8120fe-pod"
    assert pod_name(INSTANCE, NODE, shared=False) == "cameras-8120fe-pod"
    assert pod_name(InstanceName("my.cams-8120fe"), NodeName("a.b"), shared=True) == "a.b-my-cams-8120fe-pod"
    assert job_name(INSTANCE, 7) == "cameras-8120fe-7-job"
    assert job_name(InstanceName("my.cams-8120fe"), 7) == "my-cams-8120fe-7-job"
    assert instance_service_name(INSTANCE) == "cameras-8120fe-svc"
    assert configuration_service_name(CAMERAS) == "cameras-svc"
    assert configuration_service_name(ConfigurationName("my.cams")) == "my-cams-svc"
    assert report_name(CAMERAS, NODE) == "cameras.node-a"


def test_a_service_name_begins_with_a_letter() -> None:
    assert configuration_service_name(ConfigurationName("3d-cams")) == "akri-3d-cams-svc"
    assert instance_service_name(InstanceName("3d-cams-8120fe")) == "akri-3d-cams-8120fe-svc"


def test_fitted_leaves_what_fits_and_cuts_what_does_not() -> None:
    assert fitted("a" * 63) == "a" * 63
    assert fitted("a" * 64) == "a" * 54 + "-e4a7aadc"
    assert len(fitted("a" * 64)) == 63
    assert fitted("a" * 64) != fitted("a" * 65)
    assert fitted("abcdefgh.-_jklmnopqrstu", 20) == "abcdefgh-377385d4"


@given(names, st.integers(0, 10**18))
def test_every_name_fits_its_limit(configuration: ConfigurationName, generation: int) -> None:
    instance = instance_name(configuration, "8120fe12")
    assert len(resource_name(instance).removeprefix("akri.sh/")) <= 63
    assert DNS_LABEL.fullmatch(configuration_service_name(configuration))
    assert DNS_LABEL.fullmatch(instance_service_name(instance))
    assert len(job_name(instance, generation)) <= 63
    labels = [
        pod_labels(configuration, instance, NodeName("n" * 253), shared=True),
        job_labels(configuration, instance, generation),
        instance_service_labels(instance),
        configuration_service_labels(configuration),
    ]
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", value) for made in labels for value in made.values())


def test_long_names_of_objects_are_cut_at_their_own_limits() -> None:
    assert len(pod_name(LONG_INSTANCE, NodeName("n" * 253), shared=True)) == 253
    assert len(report_name(LONG, NodeName("n" * 253))) == 253
    assert pod_name(LONG_INSTANCE, NodeName("n" * 100), shared=True) == f"{'n' * 100}-{LONG_INSTANCE}-pod"


def test_labels_are_upstreams() -> None:
    assert pod_labels(CAMERAS, INSTANCE, NODE, shared=True) == {
        "app": "node-a-cameras-8120fe-pod",
        "controller": "akri.sh",
        "akri.sh/configuration": "cameras",
        "akri.sh/instance": "cameras-8120fe",
        "akri.sh/target-node": "node-a",
    }
    assert pod_labels(CAMERAS, INSTANCE, NODE, shared=False)["app"] == "cameras-8120fe-pod"
    assert job_labels(CAMERAS, INSTANCE, 2) == {
        "app": "cameras-8120fe-2-job",
        "controller": "akri.sh",
        "akri.sh/configuration": "cameras",
        "akri.sh/instance": "cameras-8120fe",
    }
    assert instance_service_labels(INSTANCE) == {
        "app": "cameras-8120fe-svc",
        "controller": "akri.sh",
        "akri.sh/instance": "cameras-8120fe",
    }
    assert configuration_service_labels(CAMERAS) == {"app": "cameras-svc", "controller": "akri.sh", "akri.sh/configuration": "cameras"}


def configuration(key: str, created: float = 1.0) -> Configuration:
    return Configuration(ObjectMeta(object_key(key), created=created), DiscoveryRequest(HandlerName("udev")))


def instance(key: str, configuration_name: str, created: float = 1.0) -> Instance:
    return Instance(ObjectMeta(object_key(key), created=created), ConfigurationName(configuration_name), "", 1)


def object_key(text: str) -> ObjectKey:
    namespace, _, name = text.partition("/")
    return ObjectKey(namespace, name)


def test_different_names_collide_with_nothing() -> None:
    assert name_collisions([configuration("a/x"), configuration("a/y")], [instance("a/x-1", "x"), instance("a/y-1", "y")]) == ()


def test_of_two_configurations_with_one_name_the_younger_is_refused() -> None:
    (refusal,) = name_collisions([configuration("a/x", 2.0), configuration("b/x", 1.0)], [])
    assert refusal == NameRefusal("Configuration", object_key("a/x"), "Configuration", object_key("b/x"))
    assert refusal.resource == "akri.sh/x"
    assert refusal.message == "Configuration a/x is refused: the kubelet resource akri.sh/x belongs to the older Configuration b/x"


def test_of_two_equally_old_ones_the_smaller_key_stays() -> None:
    (refusal,) = name_collisions([configuration("b/x"), configuration("a/x")], [])
    assert refusal.key == object_key("b/x")


def test_all_younger_ones_are_refused_in_favour_of_the_oldest() -> None:
    refusals = name_collisions([configuration("c/x", 3.0), configuration("b/x", 2.0), configuration("a/x", 1.0)], [])
    assert [(str(refusal.key), str(refusal.other)) for refusal in refusals] == [("b/x", "a/x"), ("c/x", "a/x")]


def test_a_configuration_named_like_an_older_instance_is_refused() -> None:
    (refusal,) = name_collisions([configuration("a/x"), configuration("a/x-8120fe", 3.0)], [instance("a/x-8120fe", "x", 2.0)])
    assert refusal == NameRefusal("Configuration", object_key("a/x-8120fe"), "Instance", object_key("a/x-8120fe"))


def test_an_instance_named_like_an_older_configuration_is_refused() -> None:
    (refusal,) = name_collisions([configuration("a/x"), configuration("a/x-8120fe", 2.0)], [instance("a/x-8120fe", "x", 3.0)])
    assert refusal == NameRefusal("Instance", object_key("a/x-8120fe"), "Configuration", object_key("a/x-8120fe"))


def test_a_configuration_goes_before_an_instance_of_the_same_second() -> None:
    (refusal,) = name_collisions([configuration("b/x-1")], [instance("a/x-1", "x")])
    assert refusal.kind == "Instance"


def test_what_is_not_stored_yet_is_the_youngest() -> None:
    (refusal,) = name_collisions([configuration("a/x", 0.0), configuration("b/x", 9.0)], [])
    assert refusal.key == object_key("a/x")


def test_instances_of_a_refused_configuration_take_no_names() -> None:
    configurations = [configuration("a/x", 1.0), configuration("b/x", 2.0)]
    left_over = instance("b/x-8120fe", "x", 3.0)
    assert [refusal.kind for refusal in name_collisions(configurations, [left_over, instance("a/x-8120fe", "x", 4.0)])] == ["Configuration"]
    # An instance of the same name elsewhere does not make that configuration's instances refused.
    assert len(name_collisions(configurations, [instance("a/y-1", "y", 5.0), instance("c/y-1", "y", 6.0)])) == 2


@pytest.mark.parametrize(
    ("host", "node"),
    [("gateway", "gateway"), ("Gate_Way.Local", "gate-way.local"), ("-.x.-", "x"), ("", "localhost"), ("a" * 62 + "-b", "a" * 62)],
)
def test_a_host_is_a_node(host: str, node: str) -> None:
    assert node_name_of(host) == node
