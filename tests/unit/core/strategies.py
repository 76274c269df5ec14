"""Values of core as hypothesis makes them."""

from __future__ import annotations

from hypothesis import strategies as st

from akri.core.configuration import Configuration, DiscoveryRequest, JobBroker, NoBroker, PodBroker
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.properties import FromConfigMap, FromSecret, Literal
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, HandlerReport, KeptDevice, Reason

__all__ = ["configurations", "instances", "json_objects", "reports", "statuses"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
words = st.text("abc.-\"'ü ", min_size=1, max_size=6)
names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)
counts = st.integers(0, 10**6)
times = st.integers(0, 4 * 10**15).map(lambda microseconds: microseconds / 10**6)
text_maps = st.dictionaries(texts, texts, max_size=3)
broker_properties = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1, max_size=6),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
    max_size=3,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
owners = st.builds(OwnerReference, texts, texts, texts, texts, st.booleans())
keys = st.builds(ObjectKey, names, names)
property_names = st.from_regex(r"[_A-Za-z][_A-Za-z0-9]{0,5}", fullmatch=True)
metadata = st.builds(
    ObjectMeta,
    keys,
    uid=texts,
    revision=counts,
    generation=counts,
    created=times,
    labels=text_maps,
    annotations=text_maps,
    finalizers=st.lists(texts, max_size=2).map(tuple),
    owners=st.lists(owners, max_size=2).map(tuple),
)
properties = st.one_of(
    st.builds(Literal, property_names, texts),
    st.builds(FromSecret, property_names, keys, words, st.booleans()),
    st.builds(FromConfigMap, property_names, keys, words, st.booleans()),
)
configurations = st.builds(
    Configuration,
    metadata,
    st.builds(DiscoveryRequest, words.map(HandlerName), texts, st.lists(properties, max_size=2).map(tuple)),
    st.integers(1, 1000),
    st.one_of(st.just(NoBroker()), st.builds(PodBroker, json_objects), st.builds(JobBroker, json_objects)),
    st.none() | json_objects,
    st.none() | json_objects,
    broker_properties,
)
instances = st.builds(
    Instance,
    metadata,
    words.map(ConfigurationName),
    texts,
    counts,
    st.booleans(),
    st.lists(texts.map(NodeName), max_size=3).map(tuple),
    text_maps,
    text_maps,
)
handler_reports = st.builds(
    HandlerReport,
    texts.map(HandlerName),
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
kept_devices = st.builds(KeptDevice, texts, texts, times, counts, texts)
reports = st.builds(
    DiscoveryReport,
    keys,
    texts,
    words.map(NodeName),
    counts,
    times,
    st.lists(handler_reports, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    st.lists(kept_devices, max_size=2).map(tuple),
)
conditions = st.builds(Condition, texts, st.booleans(), st.sampled_from(Reason), texts, times)
statuses = st.builds(ConfigurationStatus, counts, st.lists(conditions, max_size=2).map(tuple), counts, counts, counts, counts)
