"""The network of a test cluster: a bridge on this machine, and a cable (veth pair) from it to the namespace of each node.

The address range of a cluster is `10.<k>.0.0/16`: this machine is `10.<k>.0.1`, node i is `10.<k>.0.<10 + i>` and its pods are
`10.<k>.<10 + i>.0/24`. Nodes and pods reach each other and this machine by routes, without translation, and nothing else.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

__all__ = ["MOST_NODES", "CommandError", "Network", "Place", "free_range", "run", "short_id"]

MOST_NODES = 20
_FIRST, _LAST = 100, 250  # of the second part of the address range; below are the ranges of services (10.96) and of much else


class CommandError(Exception):
    """A command failed; the text ends in what it said."""


async def run(*argv: str, seconds: float = 30.0) -> str:
    """Run a program to its end; returns its output. Raises CommandError if it fails, TimeoutError after `seconds`."""
    # It dies with its caller: what a killed test run has begun must not come about after the clean-up.
    process = await asyncio.create_subprocess_exec(
        "setpriv",
        "--pdeathsig",
        "KILL",
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), seconds)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode:
        raise CommandError(f"{' '.join(argv)} failed ({process.returncode}): {errors.decode(errors='replace').strip()}")
    return output.decode(errors="replace")


def short_id(state: Path) -> str:
    """What tells the clusters of one machine apart in names of interfaces and cgroups: `akri` and six digits from the state folder."""
    return f"akri{hashlib.sha256(str(state).encode()).hexdigest()[:6]}"


def free_range(used: Iterable[str], start: int) -> int:
    """The k of the first free `10.<k>.0.0/16`, looking from `start` on.

    `used` are addresses, with or without a mask. Raises LookupError if none is free.
    """
    taken = {int(found[1]) for address in used if (found := re.match(r"10\.(\d+)\.", address))}
    size = _LAST - _FIRST
    for offset in range(size):
        candidate = _FIRST + (start + offset) % size
        if candidate not in taken:
            return candidate
    raise LookupError(f"no free address range: all of 10.{_FIRST}.0.0/16 to 10.{_LAST - 1}.0.0/16 are in use")


@frozen
class Place:
    """Where a node is in the network of its cluster."""

    k: int
    index: int
    bridge: str

    @property
    def host(self) -> str:
        """The address of this machine, seen from the node."""
        return f"10.{self.k}.0.1"

    @property
    def address(self) -> str:
        """The node's own address."""
        return f"10.{self.k}.0.{10 + self.index}"

    @property
    def pods(self) -> str:
        """The address range of the node's pods."""
        return f"10.{self.k}.{10 + self.index}.0/24"

    @property
    def cable(self) -> str:
        """The interface at this machine's end of the node's cable."""
        return f"{self.bridge}-{self.index}"

    def neighbours(self) -> list[Place]:
        """The places of all other nodes that the cluster could have."""
        return [Place(self.k, index, self.bridge) for index in range(1, MOST_NODES + 1) if index != self.index]


@contextmanager
def _one_at_a_time() -> Generator[None]:
    """Wait until no other cluster of this machine is choosing its addresses."""
    folder = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


class Network:
    """The bridge of a cluster. What it is called and which addresses it has is written to the state folder, for later runs."""

    def __init__(self, state: Path) -> None:
        self.bridge = short_id(state)
        self._record = state / "network.json"

    async def create(self) -> None:
        """Make the bridge; nothing to do if it is there. Raises LookupError if no address range is free."""
        with _one_at_a_time():
            await self._create()

    async def _create(self) -> None:
        links = json.loads(await run("ip", "-json", "link", "show"))
        if any(link["ifname"] == self.bridge for link in links):
            if self._record.exists():
                return
            await run("ip", "link", "delete", self.bridge)  # of a run that ended in between
        k = free_range(await self._used(), int(self.bridge[4:], 16))
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self._record.write_text(json.dumps({"k": k}), encoding="utf-8")
        await run("ip", "link", "add", self.bridge, "type", "bridge")
        await run("ip", "address", "add", f"10.{k}.0.1/24", "dev", self.bridge)
        await run("ip", "link", "set", self.bridge, "up")

    def place(self, index: int) -> Place:
        """Where node `index` (from 1) is. Raises FileNotFoundError before `create`, ValueError for an index out of range."""
        if not 1 <= index <= MOST_NODES:
            raise ValueError(f"node {index} is out of range: a cluster has at most {MOST_NODES} nodes")
        return Place(int(json.loads(self._record.read_text(encoding="utf-8"))["k"]), index, self.bridge)

    @property
    def host(self) -> str:
        """The address of this machine, seen from the nodes. Raises FileNotFoundError before `create`."""
        return self.place(1).host

    async def attach(self, place: Place, pid: int) -> None:
        """Lay the cable to the network namespace of process `pid`, with addresses and routes at both ends."""
        await self.detach(place)
        await run("ip", "link", "add", place.cable, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        await run("ip", "link", "set", place.cable, "master", self.bridge, "up")
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net", "ip")
        await run(*inside, "address", "add", f"{place.address}/24", "dev", "eth0")
        await run(*inside, "link", "set", "eth0", "up")
        await run(*inside, "route", "add", "default", "via", place.host)
        for other in place.neighbours():
            await run(*inside, "route", "add", other.pods, "via", other.address)
        await run("ip", "route", "replace", place.pods, "via", place.address, "dev", self.bridge)

    async def detach(self, place: Place) -> None:
        """Remove a node's cable and the route to its pods; nothing to do if there is none."""
        for command in (("ip", "link", "delete", place.cable), ("ip", "route", "delete", place.pods)):
            try:
                await run(*command)
            except CommandError:
                continue

    async def cut(self, place: Place) -> None:
        """Let nothing pass through a node's cable until `mend`; its pods still reach each other."""
        await run("ip", "link", "set", place.cable, "down")

    async def mend(self, place: Place) -> None:
        """End `cut`."""
        await run("ip", "link", "set", place.cable, "up")

    async def remove(self) -> None:
        """Remove the bridge and all cables, also those of another run."""
        links = json.loads(await run("ip", "-json", "link", "show"))
        for name in sorted((link["ifname"] for link in links), key=len, reverse=True):
            if name == self.bridge or name.startswith(f"{self.bridge}-"):
                try:
                    await run("ip", "link", "delete", name)
                except CommandError:  # it went with the namespace at its other end
                    continue
        self._record.unlink(missing_ok=True)

    async def _used(self) -> list[str]:
        routes = json.loads(await run("ip", "-json", "route", "show", "table", "all"))
        addresses = json.loads(await run("ip", "-json", "address", "show"))
        local = [item["local"] for link in addresses for item in link.get("addr_info", []) if item.get("family") == "inet"]
        return [route["dst"] for route in routes] + local
