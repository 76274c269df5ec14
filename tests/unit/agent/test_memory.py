"""What the agent remembers, and what a bad disk or a bad file does to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from akri.agent.memory import Memory, read_registrations, write_registrations
from akri.agent.remembering import Known
from akri.core.device import Device
from akri.core.errors import InvalidValueError
from akri.core.ids import HandlerName, InstanceName, ObjectKey, PluginDeviceId, SlotId
from akri.core.metadata import Json
from akri.core.presence import Presence
from akri.discovery.wire import Registration
from akri.testing.clock import VirtualClock
from tests.unit.agent.world import NODE, configuration, device

ONE = Registration(HandlerName("udev"), "/var/lib/akri/udev.sock", network=False, shared=False)
OTHER = Registration(HandlerName("onvif"), "http://10.1.2.3:10000", network=True, shared=True)


async def _written(folder: Path) -> None:
    for _ in range(200):
        if (folder / "handlers.json").exists():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_e3_what_was_kept_is_loaded_by_the_next_run(tmp_path: Path) -> None:
    clock = VirtualClock()
    memory = Memory(tmp_path / "state", clock)
    assert memory.load() == ()
    task = asyncio.create_task(memory.run())
    memory.keep((ONE, OTHER))
    await _written(tmp_path / "state")
    task.cancel()
    assert Memory(tmp_path / "state", clock).load() == (ONE, OTHER)
    assert (tmp_path / "state/handlers.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["handlers.json"]


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"version": 1}', '{"version": 1, "handlers": [{"name": ""}]}', "[" * 100_000, "\xff"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, damaged: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "handlers.json").write_text(damaged, encoding="latin-1")
    assert Memory(tmp_path, VirtualClock()).load() == ()
    assert "cannot be read and are set aside" in caplog.text
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("handlers.json.damaged-")
    assert aside.read_text(encoding="latin-1") == damaged


async def test_a_disk_that_cannot_be_written_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    blocked = tmp_path / "state"
    blocked.write_text("a file where the folder should be")
    memory = Memory(blocked, clock)
    task = asyncio.create_task(memory.run())
    memory.keep((ONE,))
    for _ in range(500):
        if "not remembered" in caplog.text:
            break
        await asyncio.sleep(0.01)
    assert "handlers are not remembered" in caplog.text
    blocked.unlink()
    await clock.advance(60)
    await _written(blocked)
    task.cancel()


async def test_claims_of_instances_that_went_are_loaded_by_the_next_run(tmp_path: Path) -> None:
    clock = VirtualClock()
    memory = Memory(tmp_path, clock)
    assert memory.load_orphans() == {}
    orphans = {ObjectKey("default", "cam-8120fe"): {PluginDeviceId("cam-0"): SlotId(InstanceName("cam-8120fe"), 1)}}
    task = asyncio.create_task(memory.run(orphaned=lambda: orphans))
    for _ in range(500):
        if (tmp_path / "orphans.json").exists():
            break
        await asyncio.sleep(0.01)
    task.cancel()
    assert Memory(tmp_path, clock).load_orphans() == orphans


@pytest.mark.parametrize(
    "damaged",
    [
        "[]",
        '{"version": 1}',
        '{"version": 1, "instances": [{"namespace": "a", "name": "b"}]}',
        '{"version": 1, "instances": [{"namespace": "a", "name": "b", "slots": {"cam-0": "no slot"}}]}',
        '{"version": 1, "instances": [{"namespace": "a", "name": "b", "slots": {"no id": "cam-8120fe-1"}}]}',
    ],
)
def test_damaged_claims_are_set_aside(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "orphans.json").write_text(damaged)
    assert Memory(tmp_path, VirtualClock()).load_orphans() == {}
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("orphans.json.damaged-")


def test_files_of_a_later_version_are_read() -> None:
    document: Json = {"version": 2, "more": [], "handlers": [{**_stored(ONE), "tls": "x"}]}
    assert read_registrations(document) == (ONE,)


def _stored(registration: Registration) -> dict[str, Json]:
    text = json.dumps(write_registrations((registration,)))
    found: dict[str, Json] = json.loads(text)["handlers"][0]
    return found


@pytest.mark.parametrize("key", ["name", "endpoint", "network", "shared"])
def test_what_is_missing_is_named(key: str) -> None:
    stored = {name: value for name, value in _stored(ONE).items() if name != key}
    with pytest.raises(InvalidValueError, match=r"handlers\[0\]: .* expected an object with name, endpoint, network and shared"):
        read_registrations({"version": 1, "handlers": [stored]})


_TEXT = st.text(min_size=1)


@given(st.lists(st.builds(Registration, _TEXT.map(HandlerName), _TEXT, st.booleans(), st.booleans())).map(tuple))
def test_registrations_round_trip(registrations: tuple[Registration, ...]) -> None:
    assert read_registrations(json.loads(json.dumps(write_registrations(registrations)))) == registrations


def _known(*devices: Device) -> tuple[Known, ...]:
    one = configuration()
    presence = Presence.begin(0.0).registered("embedded", shared=True).answered("embedded", devices, 0.0)
    return (Known(evolve(one, metadata=evolve(one.metadata, uid="uid-1")), presence),)


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def _devices(folder: Path) -> list[str]:
    remembered = Memory(folder, VirtualClock()).load_devices(NODE)
    return [sighting.device.id for one in remembered.values() for sighting in one.sightings]


@contextlib.asynccontextmanager
async def _remembering(memory: Memory, known: Callable[[], Sequence[Known] | None]) -> AsyncGenerator[None]:
    task = asyncio.create_task(memory.run(known))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_devices_are_remembered_for_the_own_user_alone(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "state", VirtualClock())
    assert memory.load_devices(NODE) == {}
    async with _remembering(memory, lambda: _known(device("foo0"))):
        await _until((tmp_path / "state/devices.json").exists)
    assert _devices(tmp_path / "state") == ["foo0"]
    assert (tmp_path / "state/devices.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["devices.json"]


async def test_a_device_that_never_rests_is_written_once_a_second(tmp_path: Path) -> None:
    clock, count, looks = VirtualClock(), 0, 0

    def known() -> tuple[Known, ...]:
        nonlocal looks
        looks += 1
        return _known(device("foo0", LEVEL=str(count)))

    memory = Memory(tmp_path, clock)
    async with _remembering(memory, known):
        await _until(lambda: clock.sleeping == 3)  # each file waits: two for news, that of devices for its second to pass
        assert looks == 1
        for _ in range(9):
            count += 1
            memory.look_again()
            await clock.advance(0.1)
        assert looks == 1
        await clock.advance(0.2)
        await _until(lambda: '"LEVEL": "9"' in (tmp_path / "devices.json").read_text())
        assert looks == 2


async def test_what_was_not_written_yet_is_written_at_the_end(tmp_path: Path) -> None:
    clock, devices = VirtualClock(), [device("foo0")]
    memory = Memory(tmp_path, clock)
    async with _remembering(memory, lambda: _known(*devices)):
        await _until(lambda: clock.sleeping == 3)  # each file waits: two for news, that of devices for its second to pass
        devices.append(device("foo1"))
        memory.look_again()
    assert _devices(tmp_path) == ["foo0", "foo1"]


async def test_what_is_as_it_was_is_not_written_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path, VirtualClock())
    async with _remembering(memory, lambda: _known(device("foo0"))):
        await _until((tmp_path / "devices.json").exists)
    before = (tmp_path / "devices.json").stat().st_ino
    memory, looks = Memory(tmp_path, VirtualClock()), 0
    memory.load_devices(NODE)

    def known() -> tuple[Known, ...]:
        nonlocal looks
        looks += 1
        return _known(device("foo0"))

    async with _remembering(memory, known):
        await _until(lambda: looks == 1)
        memory.look_again()
        await _until(lambda: looks == 2)
    assert (tmp_path / "devices.json").stat().st_ino == before


async def test_what_was_remembered_stays_while_nothing_is_known(tmp_path: Path) -> None:
    memory = Memory(tmp_path, VirtualClock())
    async with _remembering(memory, lambda: _known(device("foo0"))):
        await _until((tmp_path / "devices.json").exists)
    asked = asyncio.Event()

    def known() -> None:
        asked.set()

    async with _remembering(Memory(tmp_path, VirtualClock()), known):
        await asked.wait()
    assert _devices(tmp_path) == ["foo0"]


def test_damaged_devices_are_set_aside_and_what_a_killed_writer_left_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "devices.json").write_text('{"version": 1, "configurations": [')
    (tmp_path / ".devices.json-x1").write_text("half of")
    assert Memory(tmp_path, VirtualClock()).load_devices(NODE) == {}
    assert "the remembered devices cannot be read and are set aside" in caplog.text
    (aside,) = tmp_path.iterdir()
    assert aside.name.startswith("devices.json.damaged-")


async def test_ten_thousand_devices_are_written_while_others_have_their_turn(tmp_path: Path) -> None:
    devices = [device(f"/sys/devices/{number}", NODE=f"/dev/x{number}", SERIAL=str(number)) for number in range(10_000)]
    known, memory, turns = _known(*devices), Memory(tmp_path, VirtualClock()), 0
    async with _remembering(memory, lambda: known):
        while not (tmp_path / "devices.json").exists():
            await asyncio.sleep(0)
            turns += 1
    assert turns > 3
    assert len(_devices(tmp_path)) == 10_000
