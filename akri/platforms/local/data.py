"""Secrets and ConfigMaps of the local platform, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from enum import Enum
from typing import Protocol

from akri.core.errors import NotPermittedError
from akri.core.ids import ObjectKey

__all__ = ["Data", "DataKind", "MemoryData", "refusal"]


class DataKind(Enum):
    """What holds the data."""

    SECRET = "Secret"  # noqa: S105 - a kind, no secret
    CONFIG_MAP = "ConfigMap"


def refusal(kind: DataKind, key: ObjectKey) -> NotPermittedError:
    """Say that this may not be read."""
    return NotPermittedError(f"{kind.value} {key} must not be read: the operator did not grant it")


class Data(Protocol):
    """Secrets and ConfigMaps."""

    async def fetch(self, kind: DataKind, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read; None if there is none. Raises NotPermittedError and OutcomeUnknownError."""
        ...

    def follow(self, kind: DataKind, key: ObjectKey) -> AsyncIterator[Mapping[str, bytes] | None]:
        """Give what is there now, then each change within 2 s. Raises as `fetch`."""
        ...

    async def put(self, kind: DataKind, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store. Raises OutcomeUnknownError."""
        ...

    async def delete(self, kind: DataKind, key: ObjectKey) -> bool:
        """Delete; False if there is none. Raises OutcomeUnknownError."""
        ...

    async def forbid(self, key: ObjectKey) -> None:
        """Let nobody read the Secret and the ConfigMap of this key."""
        ...


class MemoryData:
    """Secrets and ConfigMaps in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self._stored: dict[tuple[DataKind, ObjectKey], dict[str, bytes]] = {}
        self._forbidden: set[ObjectKey] = set()
        self._readers: set[asyncio.Event] = set()

    async def fetch(self, kind: DataKind, key: ObjectKey) -> Mapping[str, bytes] | None:
        """Read."""
        await asyncio.sleep(0)
        if key in self._forbidden:
            raise refusal(kind, key)
        data = self._stored.get((kind, key))
        return None if data is None else dict(data)

    async def follow(self, kind: DataKind, key: ObjectKey) -> AsyncGenerator[Mapping[str, bytes] | None]:
        """Give what is there now, then each change."""
        changed = asyncio.Event()
        self._readers.add(changed)
        try:
            told = await self.fetch(kind, key)
            yield told
            while True:
                await changed.wait()
                changed.clear()
                present = await self.fetch(kind, key)
                if present != told:
                    told = present
                    yield told
        finally:
            self._readers.discard(changed)

    async def put(self, kind: DataKind, key: ObjectKey, data: Mapping[str, bytes]) -> None:
        """Store."""
        await asyncio.sleep(0)
        self._stored[kind, key] = dict(data)
        self._tell()

    async def delete(self, kind: DataKind, key: ObjectKey) -> bool:
        """Delete."""
        await asyncio.sleep(0)
        self._tell()
        return self._stored.pop((kind, key), None) is not None

    async def forbid(self, key: ObjectKey) -> None:
        """Let nobody read the Secret and the ConfigMap of this key."""
        await asyncio.sleep(0)
        self._forbidden.add(key)
        self._tell()

    def _tell(self) -> None:
        for reader in self._readers:
            reader.set()
