"""The text in which devices are remembered, and an agent that was told of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from akri.agent.agent import Agent
from akri.agent.remembering import Known, Remembered, Writer, read_devices
from akri.core.configuration import Configuration
from akri.core.device import Device, DeviceNode, Local, Mount, Shared, Sighting
from akri.core.errors import InvalidValueError
from akri.core.evidence import Listing
from akri.core.ids import DeviceId, ObjectKey
from akri.core.metadata import Json
from akri.core.presence import Presence
from akri.core.reports import Reason
from akri.platforms.local.memory import MemoryStore
from akri.ports import ConfigurationObservation
from akri.testing.clock import VirtualClock
from tests.unit.agent.world import NODE, Plugins, agent_world, configuration, device, key

_NAMES = st.text("abcXYZ_/ü", min_size=1, max_size=5)
_DEVICES = st.builds(
    Device,
    _NAMES.map(DeviceId),
    st.dictionaries(_NAMES, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), max_size=3),
    st.lists(st.builds(Mount, _NAMES, _NAMES, st.booleans()), max_size=2).map(tuple),
    st.lists(st.builds(DeviceNode, _NAMES, _NAMES, st.sampled_from(["r", "rw", "rwm", "m"])), max_size=2).map(tuple),
)


def _stored(name: str = "cam", uid: str = "uid-1") -> Configuration:
    wanted = configuration(name)
    return evolve(wanted, metadata=evolve(wanted.metadata, uid=uid))


def _seen(*devices: Device, shared: bool = True) -> Presence:
    scope = Shared() if shared else Local(NODE)
    return Presence.begin(0.0, [Sighting(one, key("cam"), scope) for one in devices])


def _read(text: str) -> Mapping[ObjectKey, Remembered]:
    return read_devices(json.loads(text), NODE)


def _ids(text: str) -> list[str]:
    return [sighting.device.id for one in _read(text).values() for sighting in one.sightings]


@given(st.lists(_DEVICES, unique_by=lambda one: one.id), st.booleans())
def test_devices_round_trip(devices: list[Device], shared: bool) -> None:
    usable = {one.device for one in _seen(*devices, shared=shared).view(0.0, 1.0).missing.values()}
    found = _read(Writer().text([Known(_stored(), _seen(*devices, shared=shared))], 0.0))
    if not usable:
        assert found == {}
        return
    remembered = found[key("cam")]
    assert remembered.uid == "uid-1"
    assert {sighting.device for sighting in remembered.sightings} == usable
    assert {sighting.scope for sighting in remembered.sightings} == {Shared() if shared else Local(NODE)}


def test_what_is_seen_and_what_keeps_its_grace_is_remembered_and_nothing_else() -> None:
    seen = Presence.begin(0.0).registered("embedded", shared=True).answered("embedded", [device("old"), device("new")], 0.0)
    seen = seen.answered("embedded", [device("new")], 10.0)
    known = [Known(_stored(), seen)]
    assert _ids(Writer().text(known, 10.0)) == ["new", "old"]
    assert _ids(Writer().text(known, 311.0)) == ["new"]


def test_the_same_devices_have_the_same_text_and_a_changed_one_another() -> None:
    writer, one, other = Writer(), device("foo0", PATH="/dev/1"), device("foo1")
    first = writer.text([Known(_stored(), _seen(one, other))], 0.0)
    assert writer.text([Known(_stored(), _seen(other, one))], 0.0) == first
    changed = writer.text([Known(_stored(), _seen(device("foo0", PATH="/dev/2"), other))], 0.0)
    assert "/dev/2" in changed
    assert "/dev/1" not in changed
    assert writer.text([Known(_stored(), _seen(device("foo0", PATH="/dev/2"), other, shared=False))], 0.0) != changed
    assert _ids(writer.text([], 0.0)) == []


def test_configurations_stand_beside_each_other() -> None:
    known = [
        Known(_stored("zoo", "uid-2"), _seen(device("foo0"))),
        Known(_stored(), _seen(device("foo1"))),
        Known(_stored("none"), _seen()),
    ]
    found = _read(Writer().text(known, 0.0))
    assert {one: [sighting.device.id for sighting in remembered.sightings] for one, remembered in found.items()} == {
        key("cam"): ["foo1"],
        key("zoo"): ["foo0"],
    }


_DEVICE: Mapping[str, Json] = {"id": "foo0", "shared": True, "properties": {}, "mounts": [], "deviceNodes": []}


def _file(*devices: Json, **more: Json) -> Json:
    one: Json = {"namespace": "default", "name": "cam", "uid": "1", "devices": devices, **more}
    return {"version": 1, "configurations": [one]}


_BAD: list[tuple[Json, str]] = [
    (None, "version and configurations"),
    ({"version": 1, "configurations": [{}]}, r"configurations\[0\].*namespace, name, uid and devices"),
    (_file(_DEVICE, 3), r"configurations\[0\]\.devices\[1\].*id, shared"),
    (_file({**_DEVICE, "properties": []}), r"devices\[0\]\.properties.*an object"),
    (_file({**_DEVICE, "properties": {"A": 1}}), r"devices\[0\]\.properties.*texts"),
    (_file({**_DEVICE, "mounts": [{}]}), r"mounts\[0\].*containerPath, hostPath and readOnly"),
    (_file({**_DEVICE, "deviceNodes": [{}]}), r"deviceNodes\[0\].*containerPath, hostPath and permissions"),
    (
        _file({**_DEVICE, "deviceNodes": [{"containerPath": "/a", "hostPath": "/a", "permissions": "x"}]}),
        "some of 'r', 'w', 'm'",
    ),
]


@pytest.mark.parametrize(("document", "expected"), _BAD)
def test_what_is_not_as_written_is_named(document: Json, expected: str) -> None:
    with pytest.raises(InvalidValueError, match=expected):
        read_devices(json.loads(json.dumps(document)), NODE)


def test_files_of_a_later_version_are_read_and_unusable_devices_passed_over() -> None:
    document = _file({**_DEVICE, "more": 1}, {**_DEVICE, "id": ""}, later=[])
    remembered = read_devices(json.loads(json.dumps({**dict(document), "version": 2} if isinstance(document, Mapping) else None)), NODE)
    presence = Presence.begin(0.0, remembered[key("cam")].sightings)
    assert list(presence.remembered) == ["foo0"]


def _told(wanted: ConfigurationObservation, *devices: Device, uid: str | None = None) -> dict[ObjectKey, Remembered]:
    sightings = tuple(Sighting(one, wanted.key, Shared()) for one in devices)
    return {wanted.key: Remembered(wanted.metadata.uid if uid is None else uid, sightings)}


async def test_e2_a_new_agent_answers_allocate_with_what_it_remembers_before_its_handler_does() -> None:
    async with agent_world(device("foo0", PATH="/dev/foo0")) as it:
        wanted = await it.store.apply(configuration())
        await it.clock.advance(1)
        await it.allocate("cam-8120fe", "cam-8120fe-0")
        clock, store, users = it.clock, it.store, it.users
        known = it.agent.known()
    assert known is not None
    remembered = _read(Writer().text(known, clock.now()))
    async with agent_world(store=store, clock=clock, users=users, remembered=remembered, answering=False) as it:
        await it.clock.advance(1)
        assert it.plugins.healthy("cam-8120fe") == ["cam-8120fe-0"]
        assert (await it.allocate("cam-8120fe", "cam-8120fe-0"))["PATH"] == "/dev/foo0"
        assert [one.key for one in it.store.configurations] == [wanted.key]
        it.source.show(device("foo0", PATH="/dev/foo7"))
        await it.clock.advance(1)
        assert (await it.allocate("cam-8120fe", "cam-8120fe-0"))["PATH"] == "/dev/foo7"
        assert it.told(Reason.DEVICE_MOVED)


async def test_what_was_seen_for_a_configuration_that_was_made_again_is_not_served() -> None:
    async with agent_world(device("foo0")) as it:
        wanted = await it.store.apply(configuration())
        await it.clock.advance(1)
        clock, store = it.clock, it.store
    told = _told(wanted, device("foo0"), uid="another")
    async with agent_world(store=store, clock=clock, remembered=told, answering=False) as it:
        await it.clock.advance(1)
        assert it.plugins.healthy("cam-8120fe") == []
        known = it.agent.known()
        assert known is not None
        assert "foo0" not in Writer().text(known, clock.now())


async def test_a_device_without_an_instance_is_not_made_one_from_memory() -> None:
    async with agent_world() as it:
        wanted = await it.store.apply(configuration())
        clock, store = it.clock, it.store
    async with agent_world(store=store, clock=clock, remembered=_told(wanted, device("foo0")), answering=False) as it:
        await it.clock.advance(10)
        assert it.store.instances == ()


async def test_nothing_is_known_before_the_configurations_are() -> None:
    async def nothing_listed() -> Listing:
        return Listing(0.0, {})

    clock = VirtualClock()
    agent = Agent(NODE, MemoryStore(clock).node(NODE), clock, {}, Plugins(), nothing_listed)
    assert agent.known() is None
    async with agent_world() as it:
        assert it.agent.known() == ()


async def test_devices_that_are_not_seen_again_yet_are_told_of_after_half_a_minute() -> None:
    async with agent_world(device("foo0")) as it:
        wanted = await it.store.apply(configuration())
        await it.clock.advance(1)
        clock, store = it.clock, it.store
    async with agent_world(store=store, clock=clock, remembered=_told(wanted, device("foo0")), answering=False) as it:
        await it.clock.advance(20)
        assert it.problems() == ""
        await it.clock.advance(60)
        assert "device foo0: not seen since the agent began to look for it" in it.problems()
