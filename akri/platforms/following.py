"""Follows a watch of a platform for as long as its reader runs. A watch that ends or fails is opened again; nothing ends the process."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

from akri.core.errors import AkriError
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
        opened = clock.now()
        events: AsyncIterator[WatchEvent[_T]] | None = None
        try:
            events = watch()
            async for event in events:
                take(event)
            _logger.info("a watch ended watch=%s", name)
        except (AkriError, OSError) as error:
            _logger.warning("a watch failed watch=%s error=%s", name, error)
        except Exception:
            _logger.exception("a watch failed watch=%s", name)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        # An event alone is no sign of health: a watch that breaks after each one would be opened without end.
        failures = 1 if clock.now() - opened > NETWORK_BACK_OFF.most else failures + 1
        await clock.sleep(NETWORK_BACK_OFF.seconds(failures, clock.random()))
