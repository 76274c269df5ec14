"""What a node could leave behind on this machine, looked for by the names that its state folder gives to things."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster.network import run, short_id
from tests.cluster.processes import marked

__all__ = ["machine_settings", "traces"]

_SETTINGS = (
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


async def traces(state: Path) -> dict[str, list[str]]:
    """Everything of this cluster that exists, by kind; nothing of others, which may come and go meanwhile."""
    name = short_id(state)
    links = json.loads(await run("ip", "-json", "address", "show"))
    own = [link for link in links if link["ifname"].startswith(name)]
    routes = json.loads(await run("ip", "-json", "route", "show", "table", "all"))
    groups = [str(folder) for folder in cgroups.CGROUPS.glob(f"*/{name}*")] + [str(folder) for folder in cgroups.CGROUPS.glob(f"{name}*")]
    found = {
        "processes": [str(pid) for pid in marked(state)],
        "processes of pods": [str(pid) for pid in cgroups.processes(name)],
        "mounts, in whatever namespace": _mounts(state),
        "interfaces": [link["ifname"] for link in own],
        "routes": [route["dst"] for route in routes if route.get("dev", "").startswith(name)],
        "cgroups": groups,
        "files": _present(state),
    }
    return {kind: things for kind, things in found.items() if things}


def machine_settings() -> dict[str, str]:
    """The settings of the whole machine that a kubelet changes on a machine of its own."""
    return {name: (Path("/proc/sys") / name).read_text(encoding="ascii").strip() for name in _SETTINGS}


def _present(state: Path) -> list[str]:
    return [str(state)] if state.exists() else []


def _mounts(state: Path) -> list[str]:
    found: set[str] = set()
    for entry in Path("/proc").iterdir():
        if re.fullmatch(r"\d+", entry.name):
            with contextlib.suppress(OSError):  # it ended
                lines = (entry / "mountinfo").read_text(encoding="utf-8").splitlines()
                found.update(line for line in lines if f"{state}/" in line)
    return sorted(found)
