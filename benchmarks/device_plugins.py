"""What 1,000 device plugins cost: a plugin host and a device manager in two processes, as an agent and a kubelet are.

Time runs from the start of registration until the device manager has seen the devices of all 1,000 resources; each figure comes from
runs of its own. Memory is resident memory after that, with both ends in one process, as `akri up` has them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.ids import PluginDeviceId, ResourceName
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.manager import DeviceManager
from akri.deviceplugin.wire import DeviceIds
from benchmarks._harness import Case, main

__all__ = ["memory", "plugins", "run"]

PLUGINS: Final = 1000
DEVICES: Final = 5
_PATIENCE: Final = 60.0


def _memory() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def _allocate(_resource: ResourceName, ids: DeviceIds) -> ContainerEdits:
    return ContainerEdits({"DEVICE": ids[0]})


def _host(directory: Path) -> PluginHost:
    host = PluginHost(directory, _allocate, clock=SystemClock())
    for number in range(PLUGINS):
        name = f"camera-{number:06x}"
        host.offer(ResourceName(f"akri.sh/{name}"), {PluginDeviceId(f"{name}-{slot}"): True for slot in range(DEVICES)})
    return host


async def plugins(directory: Path) -> None:
    """Play the agent: register at the first line of standard input, print processor time at the second, and end."""
    host = _host(directory)
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    before = time.process_time()
    running = asyncio.create_task(host.run())
    await loop.run_in_executor(None, sys.stdin.readline)
    print(time.process_time() - before, flush=True)
    running.cancel()
    await asyncio.wait((running,))


async def _wait_for_all(manager: DeviceManager) -> None:
    async with asyncio.timeout(_PATIENCE):
        # A condition over all resources at each change would cost more than what is measured.
        while len(manager.devices) < PLUGINS or sum(map(len, manager.devices.values())) < PLUGINS * DEVICES:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def run() -> dict[str, float]:
    """Play the kubelet, with the agent as a child; answer how long the registration of everything took, in seconds."""
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        folder = Path(name)
        async with DeviceManager(folder / "p", folder / "r.sock", clock=SystemClock()) as manager:
            agent = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.device_plugins", "--agent", str(folder / "p")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            if agent.stdin is None or agent.stdout is None:
                raise AssertionError("both are pipes")
            await agent.stdout.readline()
            wall, processor = time.monotonic(), time.process_time()
            agent.stdin.write(b"go\n")
            await _wait_for_all(manager)
            wall, processor = time.monotonic() - wall, time.process_time() - processor
            agent.stdin.write(b"end\n")
            agents_processor = float(await agent.stdout.readline())
            await agent.wait()
    return {"wall": wall, "manager": processor, "plugins": agents_processor}


async def memory() -> float:
    """Play both in one process; answer its resident memory in MiB once everything is registered."""
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        folder = Path(name)
        async with DeviceManager(folder / "p", folder / "r.sock", clock=SystemClock()) as manager:
            running = asyncio.create_task(_host(folder / "p").run())
            await _wait_for_all(manager)
            resident = _memory()
            running.cancel()
            await asyncio.wait((running,))
    return resident


def _time(name: str, figure: str) -> Case:
    module = "from benchmarks.device_plugins import run"
    return Case(name, f"import asyncio\n{module}\nprint(asyncio.run(run())[{figure!r}])\n", unit="s", aim=2)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--agent"]:
        asyncio.run(plugins(Path(sys.argv[2])))
    else:
        memory_program = "import asyncio\nfrom benchmarks.device_plugins import memory\nprint(asyncio.run(memory()))\n"
        main(
            "device_plugins",
            [
                _time("1,000 plugins registered and streaming", "wall"),
                _time("the same, processor time of the plugin host", "plugins"),
                _time("the same, processor time of the device manager", "manager"),
                Case("memory, both ends in one process", memory_program, unit="MiB", aim=200),
            ],
        )
