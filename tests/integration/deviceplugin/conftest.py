"""A kubelet for each test: our device manager, and a real one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from akri.testing.kubelet import FakeKubelet
from tests.integration.deviceplugin.agent import Agent
from tests.integration.deviceplugin.driver import Driver
from tests.integration.deviceplugin.kubelet_driver import KubeletDriver
from tests.integration.deviceplugin.manager_driver import ManagerDriver

if TYPE_CHECKING:
    from tests.cluster.cluster import Cluster

MANAGER = "manager"
KUBELET = "kubelet-1.36"


@pytest.fixture
async def fake() -> AsyncIterator[FakeKubelet]:
    """Our device manager, for orders that a real kubelet does not take."""
    async with FakeKubelet() as kubelet:
        yield kubelet


@asynccontextmanager
async def _manager() -> AsyncGenerator[Driver]:
    async with FakeKubelet() as kubelet:
        yield ManagerDriver(kubelet)


@asynccontextmanager
async def _real(cluster: Cluster) -> AsyncGenerator[Driver]:
    async with cluster.admin() as admin:
        driver = KubeletDriver(cluster.nodes[0], admin)
        try:
            yield driver
        finally:
            await driver.clean_up()


@pytest.fixture(params=[MANAGER, pytest.param(KUBELET, marks=pytest.mark.timeout(300, func_only=True))])
def whole(request: pytest.FixtureRequest) -> Cluster | None:
    """The cluster whose kubelet is meant; None for our device manager."""
    if request.param == MANAGER:
        return None
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster


@pytest.fixture
async def kubelet(whole: Cluster | None) -> AsyncIterator[Driver]:
    """Any kubelet."""
    async with _manager() if whole is None else _real(whole) as driver:
        yield driver


@pytest.fixture
async def agent(kubelet: Driver) -> AsyncIterator[Agent]:
    """A plugin host that is registered with nothing yet."""
    async with Agent(kubelet.plugins) as running:
        yield running
