"""What a handler is tested with."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from akri.discovery.tls import TlsFiles
from akri.discovery.wire import Question

__all__ = ["Plan"]


@frozen
class Plan:
    """Questions and times of a test.

    details, properties: a good question, best one that finds devices. bad_details: each must be refused. large_details: finds
    `large_least` devices or more. change: a command for sh that makes the devices of the good question others.
    patience: seconds that a handler has for what it does at once. quiet: seconds in which nothing should come.
    streams: how many are open at a time. cancels: how many are cancelled. tls: files for handlers that speak TLS.
    """

    details: str = ""
    properties: Mapping[str, bytes] = field(factory=dict[str, bytes], hash=False, repr=False)
    bad_details: tuple[str, ...] = ("{]",)
    large_details: str | None = None
    large_least: int = 1
    change: str = ""
    patience: float = 10.0
    quiet: float = 2.0
    streams: int = 20
    cancels: int = 100
    tls: TlsFiles | None = None

    @property
    def question(self) -> Question:
        """The good question."""
        return Question(self.details, self.properties)
