"""A removed node leaves nothing behind, however it and what drove it ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster import build, needs, states
from tests.cluster.images import node_images
from tests.cluster.processes import eventually
from tests.guards.tree import ROOT
from tests.integration.nodes.lone_node import POD, lone_node
from tests.integration.nodes.traces import machine_settings, traces

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def program() -> Path:
    file = build.program_path()
    if lacking := needs.lacks_for_cluster(file):
        pytest.skip(lacking)
    return file


@pytest.fixture
async def state(program: Path) -> AsyncIterator[Path]:
    del program
    with states.run_folder() as folder:
        yield folder
        await states.clean(folder)


async def test_node_without_api_server_runs_pod_from_file_and_is_removed(program: Path, state: Path) -> None:
    before = machine_settings()
    node = await lone_node(state, program)
    await node.start(node_images(state / "images"))

    async def runs() -> bool:
        return any(container.name == "main" and container.pid for container in node.containers())

    await eventually(runs, seconds=60, what=f"pod {POD} to run")
    assert set(await traces(state)) >= {
        "processes",
        "processes of pods",
        "mounts, in whatever namespace",
        "interfaces",
        "routes",
        "cgroups",
    }
    assert machine_settings() == before
    await node.remove()
    left = await traces(state)
    assert set(left) == {"interfaces", "routes", "cgroups", "files"}, "the bridge and the folders of the cluster stay"
    assert left["interfaces"] == [node.place.bridge]
    assert node.place.pods not in left["routes"]
    assert not any((Path(group) / node.name).exists() for group in left["cgroups"])
    assert not node.folder.exists()
    await states.clean(state)
    assert await traces(state) == {}
    assert machine_settings() == before


@pytest.mark.parametrize("after", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 3.0])
async def test_nothing_stays_of_a_node_whose_driver_was_killed(program: Path, state: Path, after: float) -> None:
    driver = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.nodes.lone_node", str(state), str(program), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )

    async def begun() -> bool:
        return (state / "network.json").exists()

    await eventually(begun, seconds=30, what="the driver to begin")
    await asyncio.sleep(after)
    assert driver.returncode is None, "the driver ended by itself"
    driver.kill()
    _, errors = await driver.communicate()
    assert errors == b""
    await states.clean(state)
    assert await traces(state) == {}


async def test_another_driver_goes_on_with_a_node(program: Path, state: Path) -> None:
    node = await lone_node(state, program)
    await node.start(node_images(state / "images"))
    again = await lone_node(state, program)
    assert (again.init, again.kubelet.pid, again.containerd.pid) == (node.init, node.kubelet.pid, node.containerd.pid)
    await again.reboot()
    assert node.init != again.init or node.init is None
    assert again.kubelet.alive
