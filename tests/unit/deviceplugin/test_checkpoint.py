"""The checkpoint file: the kubelet's form, round trips, and rubbish."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.checkpoint import CHECKPOINT_FILE, Checkpoint, CheckpointFile, parse_checkpoint, print_checkpoint
from akri.deviceplugin.devices import Allocation, Ledger

R = ResourceName("akri.sh/r")
texts = st.text(max_size=8)
device_ids = st.lists(texts.map(PluginDeviceId), max_size=3).map(tuple)
edits = st.builds(ContainerEdits, st.dictionaries(texts, texts, max_size=2))
allocations = st.builds(Allocation, texts, texts, texts.map(ResourceName), device_ids, edits)
checkpoints = st.builds(
    Checkpoint,
    st.lists(allocations, max_size=3).map(lambda found: Ledger(tuple(found))),
    st.dictionaries(texts.map(ResourceName), device_ids, max_size=3),
)
SAMPLE = Checkpoint(
    Ledger((Allocation("uid", "main", R, (PluginDeviceId("a"),), ContainerEdits({"K": "v"})),)),
    {R: (PluginDeviceId("a"), PluginDeviceId("b"))},
)


def test_the_form_is_the_kubelets() -> None:
    document = json.loads(print_checkpoint(SAMPLE))
    assert document["Data"] == {
        "PodDeviceEntries": [
            {"PodUID": "uid", "ContainerName": "main", "ResourceName": R, "DeviceIDs": {"-1": ["a"]}, "AllocResp": "CgYKAUsSAXY="}
        ],
        "RegisteredDevices": {R: ["a", "b"]},
    }
    assert isinstance(document["Checksum"], int)


@given(checkpoints)
def test_what_is_printed_is_read(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(print_checkpoint(checkpoint)) == checkpoint


@given(st.data())
def test_a_file_with_a_changed_character_is_refused_or_means_the_same(data: st.DataObject) -> None:
    text = print_checkpoint(SAMPLE)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters(codec="ascii")) + text[at + 1 :]
    try:
        read = parse_checkpoint(changed)
    except InvalidValueError:
        read = SAMPLE
    assert read == SAMPLE


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"Data": {}}', '{"Data": [], "Checksum": 0}', "[" * 100_000])
def test_rubbish_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("PodDeviceEntries",), {}, "PodDeviceEntries"),
        (("PodDeviceEntries", 0), "x", "PodDeviceEntries"),
        (("PodDeviceEntries", 0, "PodUID"), 1, "PodUID"),
        (("PodDeviceEntries", 0, "DeviceIDs"), [], "DeviceIDs"),
        (("PodDeviceEntries", 0, "DeviceIDs", "-1"), "a", "DeviceIDs"),
        (("PodDeviceEntries", 0, "DeviceIDs", "-1"), [1], "DeviceIDs"),
        (("PodDeviceEntries", 0, "AllocResp"), "?", "AllocResp"),
        (("PodDeviceEntries", 0, "AllocResp"), "/w==", "ContainerAllocateResponse"),
        (("RegisteredDevices",), None, "RegisteredDevices"),
        (("RegisteredDevices", R), "a", "RegisteredDevices"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(path: tuple[str | int, ...], value: object, place: str) -> None:
    document = json.loads(print_checkpoint(SAMPLE))
    part = document["Data"]
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    document["Checksum"] = _checksum_for(document)
    with pytest.raises(InvalidValueError) as refused:
        parse_checkpoint(json.dumps(document))
    assert refused.value.place == place


def test_a_wrong_checksum_is_refused() -> None:
    document = json.loads(print_checkpoint(SAMPLE))
    document["Checksum"] += 1
    with pytest.raises(InvalidValueError, match="Checksum"):
        parse_checkpoint(json.dumps(document))


def _checksum_for(document: dict[str, object]) -> int:
    return zlib.crc32(json.dumps(document["Data"], sort_keys=True, separators=(",", ":")).encode())


async def test_a_file_is_read_back(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / CHECKPOINT_FILE, lambda: SAMPLE)
    assert file.load() == Checkpoint()
    await file.save()
    assert file.load() == SAMPLE
    assert [entry.name for entry in os.scandir(tmp_path)] == [CHECKPOINT_FILE]


async def test_saves_that_come_together_share_a_write(tmp_path: Path) -> None:
    states: list[Checkpoint] = []

    def state() -> Checkpoint:
        states.append(SAMPLE)
        return SAMPLE

    file = CheckpointFile(tmp_path / CHECKPOINT_FILE, state)
    await asyncio.gather(*(file.save() for _ in range(20)))
    assert 1 <= len(states) <= 2
    await file.save()
    assert len(states) <= 3


async def test_a_save_that_is_given_up_does_not_disturb_the_next(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / CHECKPOINT_FILE, lambda: SAMPLE)
    for _ in range(20):
        first = asyncio.create_task(file.save())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await file.save()
        await asyncio.gather(first, return_exceptions=True)
    assert file.load() == SAMPLE


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
async def test_a_damaged_file_is_set_aside_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert CheckpointFile(path, Checkpoint).load() == Checkpoint()
    assert not path.exists()
    assert path.with_name(f"{CHECKPOINT_FILE}.damaged").read_bytes() == content
    assert "set a damaged checkpoint aside" in caplog.text
