"""The platforms that the contract suite runs against. A new platform adds its driver here and changes nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias
from zlib import crc32

import pytest
import pytest_asyncio

from tests.contract.driver import Driver
from tests.contract.memory_driver import disturbed_memory, memory
from tests.contract.sqlite_driver import sqlite, sqlite_two

if TYPE_CHECKING:  # they load aiohttp and the test cluster: not in runs that do without
    from tests.contract.kubernetes_server import ContractServer

__all__: list[str] = []

_Platform: TypeAlias = Callable[[], AbstractAsyncContextManager[Driver]]
_LOCAL: Mapping[str, _Platform] = {"memory": memory, "memory-disturbed": disturbed_memory, "sqlite": sqlite, "sqlite-two": sqlite_two}
_ON_A_SERVER = ("kubernetes", "kubernetes-faulty")
_STARTING: Final = 180
"""Seconds for the one test that starts the API server."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def contract_server(request: pytest.FixtureRequest) -> AsyncGenerator[ContractServer]:
    """The API server of the suite, with deploy/ in force."""
    from tests.contract import kubernetes_server  # noqa: PLC0415 # see above

    if request.config.getoption("kubeconfig", default=None) is not None:
        pytest.skip("this suite plays the kubelets and the controllers of its own API server; those of another cluster would be in its way")
    async with kubernetes_server.contract_server() as server:
        yield server


@pytest.fixture(
    params=[
        *sorted(_LOCAL),
        *(pytest.param(name, marks=pytest.mark.timeout(_STARTING, func_only=False)) for name in _ON_A_SERVER),
    ]
)
def platform(request: pytest.FixtureRequest) -> _Platform:
    """How to make a fresh platform."""
    name = str(request.param)
    if name in _LOCAL:
        return _LOCAL[name]
    server: ContractServer = request.getfixturevalue("contract_server")
    from tests.contract import kubernetes_driver  # noqa: PLC0415 # see above

    drive = kubernetes_driver.kubernetes if name == "kubernetes" else kubernetes_driver.faulty_kubernetes
    # The same faults in each run of a test.
    return partial(drive, server, crc32(request.node.nodeid.encode()))


@pytest.fixture
async def driver(platform: _Platform) -> AsyncGenerator[Driver]:
    """A fresh platform with three nodes."""
    async with platform() as fresh:
        yield fresh
