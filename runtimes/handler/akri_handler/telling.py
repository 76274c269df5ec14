"""What a handler tells of itself: metrics, and whether it is alive and known to an agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from akri.core.errors import AkriError
from akri.discovery.serving import Discover, HandlerServer
from akri.discovery.snapshot import Snapshot
from akri_handler.web import Page

__all__ = ["Told", "pages"]

_TEXT = "text/plain; charset=utf-8"


class Told:
    """Counts what a handler answers. Wrap its `discover` with `counted`."""

    def __init__(self, handler: str, registry: CollectorRegistry = REGISTRY) -> None:
        """Make the metrics, once for each registry."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the times of creation, a series for each counter, that nobody asked for
        names = ("discovery_handler",)
        self.registry = registry
        self._streams = Gauge("akri_handler_streams", "Configurations that are being answered", names, registry=registry).labels(handler)
        self._devices = Gauge("akri_handler_devices", "Devices in the last answers of all streams", names, registry=registry).labels(
            handler
        )
        self._answers = Counter("akri_handler_answers", "Answers sent", names, registry=registry).labels(handler)
        self._failures = Counter("akri_handler_failures", "Streams that ended with an error", names, registry=registry).labels(handler)
        self.known = Gauge("akri_handler_registered", "1 while an agent knows the handler", names, registry=registry).labels(handler)

    def counted(self, discover: Discover) -> Discover:
        """Answer like `discover`, and count."""

        async def counting(details: str, properties: Mapping[str, bytes]) -> AsyncIterator[Snapshot]:
            snapshots = discover(details, properties)
            devices = 0
            self._streams.inc()
            try:
                async for snapshot in snapshots:
                    self._devices.inc(len(snapshot.devices) - devices)
                    devices = len(snapshot.devices)
                    self._answers.inc()
                    yield snapshot
            except AkriError:
                self._failures.inc()
                raise
            finally:
                self._streams.dec()
                self._devices.dec(devices)
                if isinstance(snapshots, AsyncGenerator):
                    await snapshots.aclose()

        return counting


def pages(server: HandlerServer, told: Told) -> Mapping[str, Page]:
    """Give the pages by path: alive while it answers at all, ready while an agent knows it."""

    def ready() -> tuple[int, str, bytes]:
        if server.registered:
            return 200, _TEXT, b"an agent knows this handler\n"
        return 503, _TEXT, f"no agent at {server.place.folder} knows this handler yet\n".encode()

    def metrics() -> tuple[int, str, bytes]:
        told.known.set(server.registered)
        return 200, CONTENT_TYPE_LATEST, generate_latest(told.registry)

    return {"/healthz": lambda: (200, _TEXT, b"alive\n"), "/readyz": ready, "/metrics": metrics}
