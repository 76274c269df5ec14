"""Tells people what happened: the same sentence goes to the log and, as an event, to whoever looks at the object."""

from __future__ import annotations

import logging

from akri.core.reports import Event
from akri.ports import NodePlatform

__all__ = ["tell"]

_logger = logging.getLogger(__name__)


async def tell(platform: NodePlatform, event: Event) -> None:
    """Log and emit an event. A platform that fails to deliver it costs nothing but a line in the log."""
    level = logging.WARNING if event.warning else logging.INFO
    _logger.log(level, "%s %s=%s message=%r", event.reason.value, event.kind.lower(), event.about, event.message)
    try:
        await platform.emit(event)
    except Exception:
        _logger.exception("an event could not be delivered reason=%s", event.reason.value)
