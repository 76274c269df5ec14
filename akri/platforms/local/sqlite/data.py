"""Secrets and ConfigMaps as plain files, which people edit by hand: data/secrets/<namespace>/<name>/<key>, and configmaps likewise.

A folder without the right to read for its owner is one that agents were not granted, also where the agent runs as root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from stat import S_IRUSR
from typing import Final

from akri.core.errors import InvalidValueError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.platforms.local.data import DataKind, refusal
from akri.ports import Clock

__all__ = ["FolderData"]

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at files that are followed; a change is told within 2 s."""
_MOST_BYTES: Final = 1024 * 1024
"""What one key may hold; Kubernetes' limit."""
_FOLDERS: Final[Mapping[DataKind, str]] = {DataKind.SECRET: "secrets", DataKind.CONFIG_MAP: "configmaps"}


class FolderData:
    """Secrets and ConfigMaps under a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Nothing is made before something is put; the clock paces those who follow."""
        self._folder = folder
        self._clock = clock

    async def fetch(self, kind: DataKind, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read all keys. Hidden files are none, nor are folders."""
        folder = self._of(kind, key)
        if folder is None:
            return None
        try:
            found = await asyncio.to_thread(_read, folder)
        except PermissionError as error:
            raise refusal(kind, key) from error
        except OSError as error:
            message = f"{kind.value} {key} cannot be read: {error}"
            raise OutcomeUnknownError(message) from error
        return found

    async def follow(self, kind: DataKind, key: ObjectKey) -> AsyncGenerator[Mapping[str, bytes] | None]:
        """Give what is there now, then each change."""
        told = await self.fetch(kind, key)
        yield told
        while True:
            await self._clock.sleep(_LOOK_EVERY)
            present = await self.fetch(kind, key)
            if present != told:
                told = present
                yield told

    async def put(self, kind: DataKind, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store: each file is replaced as a whole. Raises InvalidValueError for names that no file can have."""
        folder = self._of(kind, key)
        if folder is None or not all(map(_is_name, data)):
            raise InvalidValueError(kind.value, f"{key}: {', '.join(data)}", "names without '/', not beginning with '.'")
        try:
            await asyncio.to_thread(_write, folder, dict(data))
        except OSError as error:
            message = f"{kind.value} {key} cannot be stored: {error}"
            raise OutcomeUnknownError(message) from error

    async def delete(self, kind: DataKind, key: ObjectKey) -> bool:
        """Delete with all keys."""
        folder = self._of(kind, key)
        if folder is None or not folder.is_dir():
            return False
        try:
            await asyncio.to_thread(shutil.rmtree, folder)
        except OSError as error:
            message = f"{kind.value} {key} cannot be deleted: {error}"
            raise OutcomeUnknownError(message) from error
        return True

    async def forbid(self, key: ObjectKey) -> None:
        """Take the right to read from both folders, which are made where they are missing."""
        for kind in DataKind:
            folder = self._of(kind, key)
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0)

    def _of(self, kind: DataKind, key: ObjectKey) -> Path | None:
        if not (_is_name(key.namespace) and _is_name(key.name)):
            return None
        return self._folder / _FOLDERS[kind] / key.namespace / key.name


def _is_name(text: str) -> bool:
    return bool(text) and not text.startswith(".") and "/" not in text and "\0" not in text


def _read(folder: Path) -> dict[str, bytes] | None:
    try:
        if not folder.stat().st_mode & S_IRUSR:
            raise PermissionError(folder)
        files = sorted(path for path in folder.iterdir() if _is_name(path.name) and path.is_file())
        return {path.name: _content(path) for path in files}
    except (FileNotFoundError, NotADirectoryError):
        return None


def _content(path: Path) -> bytes:
    if not path.stat().st_mode & S_IRUSR:
        raise PermissionError(path)
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _write(folder: Path, data: Mapping[str, bytes]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, value in data.items():
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(folder / name)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    for path in folder.iterdir():
        if path.is_file() and path.name not in data:
            path.unlink(missing_ok=True)
