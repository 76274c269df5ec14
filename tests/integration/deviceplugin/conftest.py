"""A kubelet for each test, ours until a real one takes its place."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from akri.testing.kubelet import FakeKubelet
from tests.integration.deviceplugin.agent import Agent
from tests.integration.deviceplugin.driver import Driver, FakeDriver


@pytest.fixture
async def fake() -> AsyncIterator[FakeKubelet]:
    """Our device manager, for orders that a real kubelet does not take."""
    async with FakeKubelet() as kubelet:
        yield kubelet


@pytest.fixture
def kubelet(fake: FakeKubelet) -> Driver:
    """Any kubelet."""
    return FakeDriver(fake)


@pytest.fixture
async def agent(kubelet: Driver) -> AsyncIterator[Agent]:
    """A plugin host that is registered with nothing yet."""
    async with Agent(kubelet.plugins) as running:
        yield running
