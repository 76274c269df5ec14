"""Secrets and ConfigMaps in files that people edit by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from akri.core.errors import InvalidValueError, NotPermittedError
from akri.core.ids import ObjectKey
from akri.platforms.local.data import DataKind
from akri.platforms.local.sqlite.data import FolderData
from akri.testing.clock import VirtualClock

KEY = ObjectKey("default", "camera")
ODD = (
    ObjectKey("..", "camera"),
    ObjectKey("default", "../../secret"),
    ObjectKey("", "a"),
    ObjectKey("default", ".hidden"),
    ObjectKey("a", "b\0"),
)


async def test_what_is_put_is_a_file_for_each_key(tmp_path: Path) -> None:
    data = FolderData(tmp_path, VirtualClock())
    await data.put(DataKind.SECRET, KEY, {"user": b"me", "password": b"\xff\0"})
    folder = tmp_path / "secrets" / "default" / "camera"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"user": b"me", "password": b"\xff\0"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert await data.fetch(DataKind.SECRET, KEY) == {"user": b"me", "password": b"\xff\0"}
    assert await data.fetch(DataKind.CONFIG_MAP, KEY) is None
    await data.put(DataKind.SECRET, KEY, {"user": b"you"})
    assert await data.fetch(DataKind.SECRET, KEY) == {"user": b"you"}
    assert await data.delete(DataKind.SECRET, KEY) is True
    assert await data.delete(DataKind.SECRET, KEY) is False
    assert await data.fetch(DataKind.SECRET, KEY) is None


async def test_files_that_a_person_writes_are_read_and_followed(tmp_path: Path) -> None:
    clock = VirtualClock(pause=0.002)
    data = FolderData(tmp_path, clock)
    following = data.follow(DataKind.CONFIG_MAP, KEY)
    assert await anext(following) is None
    folder = tmp_path / "configmaps" / "default" / "camera"
    folder.mkdir(parents=True)
    (folder / "url").write_bytes(b"rtsp://a")
    (folder / ".url.swp").write_bytes(b"of an editor")
    (folder / "folder").mkdir()
    told = asyncio.ensure_future(anext(following))
    await clock.run_until(told.done, 3.0)
    assert told.result() == {"url": b"rtsp://a"}
    assert clock.now() < 2.0
    (folder / "url").unlink()
    told = asyncio.ensure_future(anext(following))
    await clock.run_until(told.done, 3.0)
    assert told.result() == {}


@pytest.mark.parametrize("key", ODD)
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, key: ObjectKey) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a").write_bytes(b"secret")
    data = FolderData(tmp_path / "data" / "x", VirtualClock())
    assert await data.fetch(DataKind.SECRET, key) is None
    assert await data.delete(DataKind.SECRET, key) is False
    with pytest.raises(InvalidValueError):
        await data.put(DataKind.SECRET, key, {"a": b""})
    with pytest.raises(InvalidValueError):
        await data.put(DataKind.SECRET, KEY, {"../a": b""})


async def test_what_its_owner_may_not_read_is_not_granted(tmp_path: Path) -> None:
    data = FolderData(tmp_path, VirtualClock())
    await data.put(DataKind.SECRET, KEY, {"a": b""})
    path = tmp_path / "secrets" / "default" / "camera" / "a"
    path.chmod(0)
    with pytest.raises(NotPermittedError, match="Secret default/camera must not be read"):
        await data.fetch(DataKind.SECRET, KEY)
    path.chmod(0o600)
    await data.forbid(KEY)
    for kind in DataKind:
        with pytest.raises(NotPermittedError):
            await data.fetch(kind, KEY)
