"""What the agent remembers, and what a bad disk or a bad file does to it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.agent.memory import Memory, read_registrations, write_registrations
from akri.core.errors import InvalidValueError
from akri.core.ids import HandlerName
from akri.core.metadata import Json
from akri.discovery.wire import Registration
from akri.testing.clock import VirtualClock

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
    assert "registered handlers are not remembered" in caplog.text
    blocked.unlink()
    await clock.advance(60)
    await _written(blocked)
    task.cancel()


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
