"""Nothing stays on the machine: after `./dev cluster-down`, and after whatever started a cluster was killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster import build, cgroups, needs, states
from tests.cluster.admin import healthy
from tests.cluster.network import run, short_id
from tests.cluster.processes import eventually, marked
from tests.guards.tree import ROOT

STARTS_AND_WAITS = """
import asyncio
from tests.cluster import build, states
from tests.cluster.api_server import ApiServer
async def main():
    with states.run_folder() as state:
        await ApiServer(build.program_path(), state).start()
        print(state, flush=True)
        await asyncio.sleep(100)
asyncio.run(main())
"""


@pytest_asyncio.fixture
async def up(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """The state folder of `./dev cluster`, in a place of the test's own; short, for the paths of sockets end in it."""
    if lacking := needs.lacks_for_cluster(build.program_path()):
        pytest.skip(lacking)
    home = await asyncio.to_thread(tempfile.mkdtemp, prefix="akri")
    monkeypatch.setenv("XDG_STATE_HOME", home)
    yield states.up_folder()
    await states.clean(states.up_folder())
    await asyncio.to_thread(shutil.rmtree, home)


async def start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=pipe, stderr=asyncio.subprocess.STDOUT)


async def drive(command: str) -> str:
    """Run a command of the cluster's program to its end; returns what it said."""
    process = await start("-m", "tests.cluster", command)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def left(state: Path) -> list[str]:
    """What there is of a cluster on this machine, as sentences."""
    links = [link["ifname"] for link in json.loads(await run("ip", "-json", "link", "show"))]
    name = short_id(state)
    return [
        *(f"interface {link}" for link in links if link.startswith(name)),
        *left_files(state),
        *(f"process {pid}" for pid in marked(state)),
    ]


def left_files(state: Path) -> list[str]:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    folders = [*cgroups.CGROUPS.glob(f"*/{short_id(state)}"), *cgroups.CGROUPS.glob(short_id(state))]
    files = [state] if state.exists() else []
    return [*(f"mount {line}" for line in mounts if str(state) in line), *(f"cgroup {path}" for path in folders), *map(str, files)]


async def works(up: Path) -> bool:
    settings = json.loads((up / "settings.json").read_text(encoding="utf-8"))
    url = f"https://127.0.0.1:{settings['ports']['kube-apiserver']}/api/v1/nodes/node-b"
    return await healthy(url, up / "pki" / "ca.crt", settings["tokens"]["admin"])


@pytest.mark.timeout(180)
async def test_up_twice_and_down_twice(up: Path) -> None:
    assert "node-a and node-b are Ready" in await drive("up")
    assert (up / "kubeconfig").exists()
    assert await works(up)
    before = sorted(marked(up))
    assert "the cluster runs already" in await drive("up")
    assert sorted(marked(up)) == before
    assert await left(up) != []
    assert "the cluster is gone" in await drive("down")
    assert await left(up) == []
    assert "there was no cluster" in await drive("down")


@pytest.mark.timeout(180)
async def test_cluster_that_lost_a_part_is_made_anew(up: Path) -> None:
    await drive("up")
    record = json.loads((up / "processes" / "node-b-kubelet").read_text(encoding="utf-8"))
    os.killpg(record["pid"], signal.SIGKILL)
    said = await drive("up")
    assert "starting etcd" in said
    assert await works(up)
    await drive("down")
    assert await left(up) == []


async def kill_driver_at(file: Path) -> None:
    """Kill a run of `up` when it makes this file, which tells how far it has come."""
    began = time.time()
    driver = await start("-m", "tests.cluster", "up")

    async def reached() -> bool:
        return is_newer(file, began)

    await eventually(reached, seconds=90, what=f"the start to make {file}", every=0.01)
    driver.kill()
    await driver.communicate()


def is_newer(file: Path, moment: float) -> bool:
    """Whether there is a file that was written after this moment: an earlier run may have left one."""
    try:
        return file.stat().st_mtime >= moment
    except FileNotFoundError:
        return False


@pytest.mark.timeout(300)
async def test_driver_killed_during_the_start_is_no_obstacle(up: Path) -> None:
    for name in ("network.json", "processes/etcd", "processes/node-a-init", "processes/node-b-kubelet"):
        await kill_driver_at(up / name)
        assert await left(up) != []
    assert "node-a and node-b are Ready" in await drive("up")
    assert await works(up)
    await drive("down")
    assert await left(up) == []


@pytest.mark.timeout(120)
async def test_down_removes_what_a_killed_driver_left(up: Path) -> None:
    await kill_driver_at(up / "processes" / "node-a-kubelet")
    assert [kind for kind in ("process", "interface", "cgroup") if kind not in " ".join(await left(up))] == []
    await drive("down")
    assert await left(up) == []


@pytest.mark.timeout(120)
async def test_interrupted_start_cleans_up(up: Path) -> None:
    began = time.time()
    driver = await start("-m", "tests.cluster", "up")

    async def reached() -> bool:
        return is_newer(up / "processes" / "node-a-init", began)

    await eventually(reached, seconds=90, what="a node to boot", every=0.01)
    driver.terminate()
    await driver.communicate()
    assert driver.returncode == 130
    assert await left(up) == []


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("up")
async def test_next_run_removes_what_a_killed_one_left_and_nothing_of_a_living_one() -> None:
    killed, living = await start("-c", STARTS_AND_WAITS), await start("-c", STARTS_AND_WAITS)
    assert killed.stdout is not None
    assert living.stdout is not None
    one, other = [Path((await process.stdout.readline()).decode().strip()) for process in (killed, living) if process.stdout]
    killed.kill()
    await killed.communicate()
    assert len(marked(one)) == len(marked(other)) == 2
    assert await states.clean_stale() == [one]
    assert (await left(one), len(marked(other))) == ([], 2)
    living.kill()
    await living.communicate()
    assert await states.clean_stale() == [other]
