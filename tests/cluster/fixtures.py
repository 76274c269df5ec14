"""The pytest fixtures of the test cluster, for every test below tests/ (tests/conftest.py names this module).

    async def test_x(api_server: ApiServer, admin: Admin, namespace: str) -> None: ...

`api_server`          etcd and API server, one for the whole run, started by the first test that asks (3 s). Nothing of deploy/ is in it:
                      `await admin.install(ROOT / "deploy")` puts it there, again and again without harm.
                      For the garbage collector, after install: `await api_server.start_controller_manager()`.
`fresh_api_server`    one of the test's own, to break: `await fresh_api_server.part("etcd").kill()`.
`admin`               a client with all rights on `api_server`, on the test's own event loop.
`namespace`           the name of a namespace that this test alone uses.

With `--kubeconfig FILE` they stand for another cluster: what cannot be ordered there is left out, and says so.
A time-out of 60 s, or what the test's mark says, holds for the test alone: starting servers has limits of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import pytest_asyncio

if TYPE_CHECKING:  # they load aiohttp: not in runs that do without a cluster
    from tests.cluster.admin import Admin
    from tests.cluster.api_server import ApiServer

__all__ = ["admin", "api_server", "fresh_api_server", "namespace", "pytest_addoption", "pytest_collection_modifyitems"]

_SLOW = frozenset({"api_server", "fresh_api_server", "cluster", "fresh_cluster"})
_SECONDS = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests be pointed at another cluster."""
    group = parser.getgroup("cluster")
    group.addoption(
        "--kubeconfig", type=Path, metavar="FILE", help="run the cluster tests on this cluster; a test cluster, for much is deleted"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not count the start of servers against the time of the test that happens to be first."""
    for item in items:
        if _SLOW.intersection(getattr(item, "fixturenames", ())):
            mark = item.get_closest_marker("timeout")
            seconds = (mark.args[0] if mark.args else mark.kwargs["timeout"]) if mark else _SECONDS
            item.add_marker(pytest.mark.timeout(seconds, func_only=True), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ApiServer]:
    """The API server of this run."""
    kubeconfig: Path | None = request.config.getoption("kubeconfig")
    if kubeconfig is not None:
        from tests.cluster.external import ExternalApiServer  # noqa: PLC0415 # see above

        yield cast("ApiServer", ExternalApiServer(kubeconfig, tmp_path_factory.mktemp("external")))
    else:
        async for server in _started():
            yield server


@pytest_asyncio.fixture
async def fresh_api_server(request: pytest.FixtureRequest) -> AsyncGenerator[ApiServer]:
    """An API server of this test alone."""
    if request.config.getoption("kubeconfig") is not None:
        pytest.skip("the cluster of --kubeconfig is not there to be broken")
    async for server in _started():
        yield server


@pytest_asyncio.fixture
async def admin(api_server: ApiServer) -> AsyncGenerator[Admin]:
    """A client with all rights."""
    async with api_server.admin() as client:
        yield client


@pytest_asyncio.fixture
async def namespace(admin: Admin) -> str:
    """A namespace of this test alone. It stays: without its controller nothing could remove it."""
    name = f"test-{secrets.token_hex(4)}"
    await admin.ensure("Namespace", name)
    return name


async def _started() -> AsyncGenerator[ApiServer]:
    from tests.cluster import build, needs, states  # noqa: PLC0415 # see above
    from tests.cluster.api_server import ApiServer  # noqa: PLC0415

    program = build.program_path()
    if lacking := needs.lacks_for_api_server(program):
        pytest.skip(lacking)
    await states.clean_stale()
    with states.run_folder() as state:
        try:
            server = ApiServer(program, state)
            await server.start()
            yield server
        finally:
            await states.clean(state)
