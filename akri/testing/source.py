"""A discovery source that does what a test says, for tests of an agent, or of anything else that reads snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from akri.core.device import Device
from akri.core.errors import AkriError
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.snapshot import Snapshot, SourceReport

__all__ = ["Asked", "ScriptedSource"]


@frozen
class Asked:
    """One call of `discover`."""

    details: str
    properties: Mapping[str, bytes]


class _End:
    """The stream ends as if there were nothing more to say."""


_Told: TypeAlias = Snapshot | AkriError | _End | None


class ScriptedSource:
    """A `Handler` (akri.discovery.handler) whose streams do what was told last, each stream that opens later included.

    Before anything is told it hangs. `asked` lists the calls of `discover`, `streams` counts those that are open.
    """

    def __init__(self, name: str = "scripted", *, shared: bool = False) -> None:
        """Take the name that Configurations call it, and whether several nodes can reach its devices."""
        self.name: Final = HandlerName(name)
        self.shared: Final = shared
        self.asked: list[Asked] = []
        self._told: _Told = None
        self._streams: list[asyncio.Queue[_Told]] = []

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def show(self, *devices: Device, gone: tuple[str, ...] = (), report: SourceReport | None = None) -> None:
        """Answer with these devices; `gone` are ids whose absence is certain."""
        self._tell(Snapshot(devices, report, tuple(DeviceId(device) for device in gone)))

    def fail(self, error: AkriError) -> None:
        """Let the streams raise this error."""
        self._tell(error)

    def end(self) -> None:
        """Let the streams end without an error."""
        self._tell(_End())

    def hang(self) -> None:
        """Say nothing to streams that open from now on; open ones hear nothing more until something is told."""
        self._told = None

    async def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncGenerator[Snapshot, None]:
        """Stream what is told, in order and without leaving anything out."""
        self.asked.append(Asked(details, dict(properties)))
        stream: asyncio.Queue[_Told] = asyncio.Queue()
        stream.put_nowait(self._told)
        self._streams.append(stream)
        try:
            while True:
                told = await stream.get()
                match told:
                    case Snapshot():
                        yield told
                    case AkriError():
                        raise told
                    case _End():
                        return
                    case None:
                        continue
        finally:
            self._streams.remove(stream)

    def _tell(self, told: _Told) -> None:
        self._told = told
        for stream in self._streams:
            stream.put_nowait(told)
