"""The pytest fixtures of the test cluster, for every test below tests/ (tests/conftest.py names this module).

    async def test_x(api_server: ApiServer, admin: Admin, namespace: str) -> None: ...

`api_server`          etcd and API server, one for the whole run, started by the first test that asks (3 s). Nothing of deploy/ is in it:
                      `await admin.install(ROOT / "deploy")` puts it there, again and again without harm.
                      For the garbage collector, after install: `await api_server.start_controller_manager()`.
`fresh_api_server`    one of the test's own, to break: `await fresh_api_server.part("etcd").kill()`.
`cluster`             the same with scheduler, all controllers and the nodes node-a and node-b, one for the whole run (8 s, more when busy).
`fresh_cluster`       one of the test's own, to break: `await fresh_cluster.node("node-b").reboot()`.
`admin`               a client with all rights on `api_server`, on the test's own event loop.
`namespace`           the name of a namespace that this test alone uses.

When a test of the run failed, the logs of all that ran stay in .cache/cluster-logs.
With `--kubeconfig FILE` they stand for another cluster: what cannot be ordered there is left out, and says so.
A time-out of 60 s, or what the test's mark says, holds for the test alone: starting servers has limits of its own.
"""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import pytest
import pytest_asyncio
from attrs import frozen

if TYPE_CHECKING:  # they load aiohttp: not in runs that do without a cluster
    from tests.cluster.admin import Admin
    from tests.cluster.api_server import ApiServer
    from tests.cluster.cluster import Cluster

__all__ = [
    "admin",
    "api_server",
    "cluster",
    "fresh_api_server",
    "fresh_cluster",
    "namespace",
    "pytest_addoption",
    "pytest_collection_modifyitems",
]

_LOGS = Path(__file__).parents[2] / ".cache" / "cluster-logs"
_SLOW = frozenset({"api_server", "fresh_api_server", "cluster", "fresh_cluster"})
_SECONDS = 60.0
_T = TypeVar("_T", "ApiServer", "Cluster")


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
    async with _of_the_run(request, tmp_path_factory, _api_servers()) as server:
        yield server


@pytest_asyncio.fixture
async def fresh_api_server(request: pytest.FixtureRequest) -> AsyncGenerator[ApiServer]:
    """An API server of this test alone."""
    _not_external(request)
    async with _own(request, _api_servers()) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cluster]:
    """The cluster of this run."""
    async with _of_the_run(request, tmp_path_factory, _clusters()) as whole:
        yield whole


@pytest_asyncio.fixture
async def fresh_cluster(request: pytest.FixtureRequest) -> AsyncGenerator[Cluster]:
    """A cluster of this test alone."""
    _not_external(request)
    async with _own(request, _clusters()) as whole:
        yield whole


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


def _not_external(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("kubeconfig") is not None:
        pytest.skip("the cluster of --kubeconfig is not there to be broken")


@frozen
class _Kind(Generic[_T]):
    """How to come by one. own: started from the program, with a state folder. external: that of a kubeconfig, with a folder."""

    own: Callable[[Path, Path], _T]
    external: Callable[[Path, Path], _T]
    lacks: Callable[[Path], str]


def _api_servers() -> _Kind[ApiServer]:
    from tests.cluster import needs  # noqa: PLC0415 # see above
    from tests.cluster.api_server import ApiServer  # noqa: PLC0415
    from tests.cluster.external import ExternalApiServer  # noqa: PLC0415

    return _Kind(ApiServer, cast("type[ApiServer]", ExternalApiServer), needs.lacks_for_api_server)


def _clusters() -> _Kind[Cluster]:
    from tests.cluster import needs  # noqa: PLC0415 # see above
    from tests.cluster.cluster import Cluster  # noqa: PLC0415
    from tests.cluster.external import ExternalCluster  # noqa: PLC0415

    return _Kind(Cluster, cast("type[Cluster]", ExternalCluster), needs.lacks_for_cluster)


@asynccontextmanager
async def _of_the_run(request: pytest.FixtureRequest, folders: pytest.TempPathFactory, kind: _Kind[_T]) -> AsyncGenerator[_T]:
    kubeconfig: Path | None = request.config.getoption("kubeconfig")
    if kubeconfig is not None:
        yield kind.external(kubeconfig, folders.mktemp("external"))
    else:
        async with _own(request, kind) as made:
            yield made


@asynccontextmanager
async def _own(request: pytest.FixtureRequest, kind: _Kind[_T]) -> AsyncGenerator[_T]:
    from tests.cluster import build  # noqa: PLC0415 # see above

    program = build.program_path()
    if lacking := kind.lacks(program):
        pytest.skip(lacking)
    async with _state(request) as state:
        made = kind.own(program, state)
        await made.start()
        yield made


@asynccontextmanager
async def _state(request: pytest.FixtureRequest) -> AsyncGenerator[Path]:
    """A state folder, and nothing of what was made for it afterwards but, if a test failed, the logs."""
    from tests.cluster import states  # noqa: PLC0415 # see above

    await states.clean_stale()
    with states.run_folder() as state:
        try:
            yield state
        finally:
            if (request.session.testsfailed or sys.exc_info()[0]) and (state / "logs").exists():
                shutil.copytree(state / "logs", _LOGS / state.name, dirs_exist_ok=True)
            await states.clean(state)
