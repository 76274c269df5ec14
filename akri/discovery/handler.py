"""What a discovery handler is, for the agent: a name and streams of snapshots."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from akri.core.ids import HandlerName
from akri.discovery.snapshot import Snapshot

__all__ = ["Handler"]


class Handler(Protocol):
    """A discovery protocol, ready to be asked. Implement this to bring your own kind of device."""

    @property
    def name(self) -> HandlerName:
        """What Configurations call it: `spec.discoveryHandler.name`."""
        ...

    @property
    def shared(self) -> bool:
        """Whether several nodes can reach one of its devices."""
        ...

    def discover(self, details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
        """Stream the devices that match `details`: the first answer as soon as it is known, then one per change.

        details: the Configuration's discoveryDetails, YAML text. properties: its discoveryProperties with all references
        resolved. Streams are independent of each other. A stream ends when its task is cancelled or it is closed (`aclose`).
        Raises, from the iteration, InvalidDocumentError for details that cannot be used (asking again does not help) and
        DiscoveryError when the source failed (asking again may help).
        """
        ...
