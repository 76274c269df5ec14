"""Follows a watch for as long as the controller runs. A watch that ends or fails is opened again; nothing ends the process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from akri.core.retry import NETWORK_BACK_OFF
from akri.ports import Clock, WatchEvent

__all__ = ["follow"]

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


async def follow(
    name: str, watch: Callable[[], AsyncIterator[WatchEvent[_T]]], take: Callable[[WatchEvent[_T]], None], clock: Clock
) -> None:
    """Hand every event of the watch of this name to `take`, until cancelled."""
    failures = 0
    while True:
        try:
            async for event in watch():
                failures = 0
                take(event)
        except Exception:
            _logger.exception("watch failed: watch=%s", name)
        failures += 1
        await clock.sleep(NETWORK_BACK_OFF.seconds(failures, clock.random()))
