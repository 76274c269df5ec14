"""The platforms that the contract suite runs against. A new platform adds its driver here and changes nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from tests.contract.driver import Driver
from tests.contract.memory_driver import disturbed_memory, memory

__all__: list[str] = []

_DRIVERS: Mapping[str, Callable[[], AbstractAsyncContextManager[Driver]]] = {"memory": memory, "memory-disturbed": disturbed_memory}


@pytest.fixture(params=sorted(_DRIVERS))
async def driver(request: pytest.FixtureRequest) -> AsyncGenerator[Driver]:
    """A fresh platform with three nodes."""
    async with _DRIVERS[str(request.param)]() as platform:
        yield platform
