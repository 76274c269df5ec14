"""Events for people, as `kubectl describe` and `kubectl get events` show them.

They are sent beside the work, not in it: whoever emits one never waits for a server, and never learns that it was lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from akri.core.errors import AkriError
from akri.core.metadata import JsonObject
from akri.core.reports import Event
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.event_limits import EventLimits
from akri.platforms.kubernetes.reading import members, text
from akri.platforms.kubernetes.resources import CONFIGURATIONS, EVENTS, INSTANCES, PODS, Resource
from akri.ports import Clock

__all__ = ["Events", "render_event"]

_logger = logging.getLogger(__name__)
_KINDS: Final[Mapping[str, Resource]] = {resource.kind: resource for resource in (CONFIGURATIONS, INSTANCES, PODS)}
_AT_ONCE: Final = 16
"""Events on their way at one time; the server is not there if more wait, and then they are dropped."""
_SECONDS: Final = 4.0
_MAXIMUM_NOTE: Final = 1024
_MAXIMUM_PREFIX: Final = 200


class Events:
    """Sends events in the name of one program."""

    def __init__(self, client: ApiClient, clock: Clock, reporter: str, instance: str) -> None:
        """Take who reports: the program, `akri.sh/agent`, and its node's name. `close` ends what is on its way."""
        self._client = client
        self._clock = clock
        self._reporter = (reporter, instance)
        self._limits = EventLimits(clock.now())
        self._sending: set[asyncio.Task[None]] = set()

    async def emit(self, event: Event) -> None:
        """Send an event soon, unless it repeats an earlier one or there are too many; never raises."""
        if len(self._sending) >= _AT_ONCE or not self._limits.admits(event, self._clock.now()):
            _logger.debug("an event was not sent reason=%s about=%s", event.reason.value, event.about)
            return
        task = asyncio.create_task(self._deliver(event))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self, seconds: float = 1.0) -> None:
        """Give events on their way so many seconds, then drop them."""
        if not self._sending:
            return
        _, late = await asyncio.wait(set(self._sending), timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _deliver(self, event: Event) -> None:
        try:
            about = await self._about(event)
            body = render_event(event, about, self._clock.wall(), *self._reporter)
            await self._client.request("POST", EVENTS.collection(event.about.namespace), body=body, seconds=_SECONDS)
        except (AkriError, OSError) as error:
            _logger.warning("an event was lost reason=%s about=%s error=%s", event.reason.value, event.about, error)
        except Exception:
            _logger.exception("an event was lost reason=%s about=%s", event.reason.value, event.about)

    async def _about(self, event: Event) -> JsonObject:
        """Name the object, with its uid if it is still there: `kubectl describe` asks for events by it."""
        about = {"kind": event.kind, "namespace": event.about.namespace, "name": event.about.name}
        resource = _KINDS.get(event.kind)
        if resource is None:
            return about
        try:
            found = await self._client.request("GET", resource.object(event.about), seconds=_SECONDS)
        except AkriError:
            return {**about, "apiVersion": resource.api_version}
        return {**about, "apiVersion": resource.api_version, "uid": text(members(found.get("metadata")).get("uid"))}


def render_event(event: Event, about: JsonObject, wall: float, reporter: str, instance: str) -> JsonObject:
    """Print an event about an object; `wall` is now, in seconds since the epoch. Texts are cut to what the server takes."""
    now = datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    note = event.message if len(event.message) <= _MAXIMUM_NOTE else f"{event.message[: _MAXIMUM_NOTE - 3]}..."
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"generateName": f"{event.about.name[:_MAXIMUM_PREFIX]}.", "namespace": event.about.namespace},
        "involvedObject": about,
        "reason": event.reason.value,
        "message": note,
        "type": "Warning" if event.warning else "Normal",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": reporter, "host": instance},
        "reportingComponent": reporter,
        "reportingInstance": instance,
    }
