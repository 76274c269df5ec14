"""Runs inside namespaces: the udev handler beside a udev daemon that the scene starts, or with none; prints what was seen."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from akri.clock import SystemClock
from akri.core.device import Device
from akri.discovery.snapshot import Snapshot
from akri.discovery.udev.source import UdevHandler
from akri.testing.loop import LoopDevice, loop_device
from tests.integration.udev.namespace import RULES, UDEVD, prepare

__all__ = ["main"]

_NEVER: Final = 3600.0
_PATIENCE: Final = 60.0
_FOLDER: Final = "akri-scene-"
# Only disks of scenes keep udev busy: those that other tests plug meanwhile would hold up its queue.
_SLOW: Final = (
    f'ACTION=="change|add", SUBSYSTEM=="block", ATTR{{{{loop/backing_file}}}}=="*/{_FOLDER}*", PROGRAM="/bin/sleep {{seconds}}", {{then}}\n'
)
_MARK: Final = 'ENV{SYNTH_ARG_AKRI}=="?*", ENV{AKRI_MARK}="$env{SYNTH_ARG_AKRI}"\n'
_TOLD: Final = 'ENV{ID_AKRI}="yes", ENV{ID_SERIAL_SHORT}="$kernel-0815", TAG+="akri"'


class _StretchedClock(SystemClock):
    """Makes the handler's seconds longer than they are: that it waited for its limits, or not, then shows on a busy machine, too."""

    def __init__(self, times: float) -> None:
        self._times = times

    def now(self) -> float:
        return super().now() / self._times

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds * self._times)


def main() -> None:
    """Read {scene, network} and print what the scene saw."""
    question = json.load(sys.stdin)
    prepare(network=question["network"])
    sys.stdout.write(json.dumps(asyncio.run(_SCENES[question["scene"]]())) + "\n")


@contextmanager
def _udevd() -> Generator[int, None, None]:
    """Run a udev daemon with the rules that are there."""
    (RULES / "20-mark.rules").write_text(_MARK, "utf-8")
    process = subprocess.Popen([str(UDEVD), "--children-max=4"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + _PATIENCE
        while not Path("/run/udev/control").exists():
            assert process.poll() is None, "udevd does not run"
            assert time.monotonic() < until, "udevd does not come up"
            time.sleep(0.02)
        yield process.pid
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(_PATIENCE)


@contextmanager
def _disk() -> Generator[Path, None, None]:
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        file = Path(folder, "akri.img")
        file.write_bytes(bytes(8192))
        yield file


async def _until(stream: AsyncGenerator[Snapshot, None], seen: list[Snapshot], devices: int) -> Device | None:
    """Read answers up to one with so many devices; `seen` gets all of them."""
    async with asyncio.timeout(_PATIENCE):
        async for snapshot in stream:
            seen.append(snapshot)
            if len(snapshot.devices) == devices:
                return snapshot.devices[0] if devices else None
    raise AssertionError("the stream ended")


async def _plug(rule: str, times: float, *, settled: bool = True) -> dict[str, object]:
    """Plug a disk in while the handler listens; tell of the first answer with it, of how long it took, and of what came before.

    times: how much longer the handler's seconds are than ours.
    """
    seen: list[Snapshot] = []
    with _disk() as file, loop_device() as device:
        stream = UdevHandler(_StretchedClock(times), poll_interval=_NEVER).discover(json.dumps({"udevRules": [rule.format(disk=file)]}), {})
        async with aclosing(stream):
            await _until(stream, seen, 0)
            await (_quiet(device) if settled else asyncio.sleep(1))
            began = time.monotonic()
            device.attach(file)
            found = await _until(stream, seen, 1)
            seconds = time.monotonic() - began
            groups = _groups()
            device.detach()
            await _until(stream, seen, 0)
    assert found is not None
    return {"properties": dict(found.properties), "seconds": seconds, "name": device.node.name, "groups": groups}


def _text(file: Path) -> str:
    return file.read_text("utf-8") if file.exists() else ""


async def _quiet(device: LoopDevice) -> None:
    """Wait until udev has dealt with all that came of a device: it takes a device's messages in turn, and ours with a mark is the last.

    `udevadm settle` would wait for the devices of other tests, too, which come and go all the time.
    """
    sysfs, mark = Path(f"/sys{device.devpath}"), uuid4().hex
    record = Path("/run/udev/data", f"b{(sysfs / 'dev').read_text('ascii').strip()}")
    (sysfs / "uevent").write_text(f"change {uuid4()} AKRI={mark}", "ascii")
    async with asyncio.timeout(_PATIENCE):
        while mark not in _text(record):  # noqa: ASYNC110 - udev tells nobody here
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)  # the handler heard it as well


def _groups() -> list[int]:
    """Multicast groups that this process has joined for messages about devices."""
    sockets = {link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.is_symlink() and "socket" in str(link.readlink())}
    rows = [row.split() for row in Path("/proc/net/netlink").read_text("ascii").splitlines()[1:]]
    return [int(row[3], 16) for row in rows if row[1] == "15" and f"socket:[{row[9]}]" in sockets]


async def _with_udevd() -> dict[str, object]:
    (RULES / "10.rules").write_text(_SLOW.format(seconds="0.3", then=_TOLD), "utf-8")
    rule = 'KERNEL=="loop*", ATTR{{loop/backing_file}}=="{disk}"'
    with _udevd():
        return {
            "names": await _plug(rule, 10),
            "tag": await _plug(f'{rule}, TAG=="akri"', 10),
            "tags": await _plug(f'{rule}, TAGS=="akri", KERNELS=="loop*"', 10),
            "property": await _plug(f'{rule}, ENV{{{{ID_AKRI}}}}=="yes"', 10),
        }


async def _with_slow_udevd() -> dict[str, object]:
    """Tell of a device that udev is busy with, then of what it has found out in the end."""
    (RULES / "10.rules").write_text(_SLOW.format(seconds="4", then='ENV{ID_SERIAL_SHORT}="$env{SEQNUM}"'), "utf-8")
    seen: list[Snapshot] = []
    with _disk() as file, loop_device(file) as device, _udevd():
        rule = f'KERNEL=="{device.node.name}", ATTR{{loop/backing_file}}=="{file}"'
        async with aclosing(UdevHandler(SystemClock(), poll_interval=_NEVER).discover(json.dumps({"udevRules": [rule]}), {})) as stream:
            await _until(stream, seen, 1)
            device.detach()
            await _until(stream, seen, 0)
            await _quiet(device)
            began = time.monotonic()
            device.attach(file)
            await _until(stream, seen, 1)
            told, before = time.monotonic() - began, seen[-1].devices[0].properties.get("UDEV_SERIAL")
            async with asyncio.timeout(_PATIENCE):
                async for snapshot in stream:
                    seen.append(snapshot)
                    if snapshot.devices[0].properties.get("UDEV_SERIAL") != before:
                        return {"told": told, "complete": time.monotonic() - began}
    raise AssertionError("the stream ended")


async def _with_deaf_udevd() -> dict[str, object]:
    with _udevd() as process:
        os.kill(process, signal.SIGSTOP)
        return await _plug('KERNEL=="loop*", ATTR{{loop/backing_file}}=="{disk}"', 10, settled=False)


async def _without_udevd() -> dict[str, object]:
    return await _plug('KERNEL=="loop*", ATTR{{loop/backing_file}}=="{disk}"', 100, settled=False)


async def _interfaces() -> dict[str, object]:
    """Network interfaces come and go in a network namespace of their own: nobody else's messages arrive, theirs do."""
    seen: list[Snapshot] = []
    stream = UdevHandler(SystemClock(), poll_interval=_NEVER).discover('udevRules: [\'SUBSYSTEM=="net", KERNEL=="akri*"\']', {})
    async with aclosing(stream):
        await _until(stream, seen, 0)
        _ip("link", "add", "akri0", "address", "02:00:00:00:00:01", "type", "bridge")
        found = await _until(stream, seen, 1)
        _ip("link", "set", "akri0", "name", "akri1")
        async with asyncio.timeout(_PATIENCE):
            async for snapshot in stream:
                seen.append(snapshot)
                if snapshot.devices and snapshot.devices[0].id.endswith("akri1"):
                    break
        renamed = seen[-1]
        _ip("link", "delete", "akri1")
        await _until(stream, seen, 0)
    assert found is not None
    return {
        "properties": dict(found.properties),
        "renamed": [renamed.devices[0].id, list(renamed.gone_ids)],
        "gone": list(seen[-1].gone_ids),
        "groups": _groups(),
    }


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=10)


_SCENES: Final[dict[str, Callable[[], Coroutine[object, object, dict[str, object]]]]] = {
    "udevd": _with_udevd,
    "slow": _with_slow_udevd,
    "deaf": _with_deaf_udevd,
    "none": _without_udevd,
    "interfaces": _interfaces,
}


if __name__ == "__main__":
    main()
