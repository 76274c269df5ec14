"""How long it takes from a device to its Instance, and what many devices cost the agent.

Plug and unplug: a file is attached to a loop device, or detached from it, and the kernel's message goes through the udev handler,
inside the agent or in a process of its own, to the in-memory platform, which holds 1,000 other Instances. The figures are percentiles
of wall time up to the event of a watch of the Instances. Many devices: a handler in a process of its own sends 10,000 in one snapshot;
store, inventory and agent are in the process whose time and memory are measured. Wants Linux and root.
"""

from __future__ import annotations

from benchmarks._harness import Case, main

__all__ = ["cases"]

_RUNS = 3


def _plug(what: str, *, remote: bool, unplug: bool) -> Case:
    program = f"from benchmarks._discovering import plugs\nplugs(95, remote={remote}, unplug={unplug}, count=50)"
    return Case(f"{what}, p95", program, "ms", 100.0, scale=1000.0, runs=_RUNS)


def _program(call: str) -> str:
    return f"from benchmarks._discovering import change, snapshot\n{call}"


def cases() -> list[Case]:
    """All of them."""
    return [
        _plug("plug to Instance", remote=False, unplug=False),
        _plug("unplug to no Instance", remote=False, unplug=True),
        _plug("plug to Instance, remote handler", remote=True, unplug=False),
        _plug("unplug to no Instance, remote handler", remote=True, unplug=True),
        Case("10,000 devices to 10,000 Instances", _program("snapshot(memory=False)"), "s", 10.0, runs=_RUNS),
        Case("most memory of it", _program("snapshot(memory=True)"), "MiB", 250.0, runs=_RUNS),
        Case("a change among 10,000, processor time", _program("change(remote=False)"), "ms", 50.0, scale=1000.0, runs=_RUNS),
        Case("the same, remote handler", _program("change(remote=True)"), "ms", 50.0, scale=1000.0, runs=_RUNS),
    ]


if __name__ == "__main__":
    main("discovery", cases())
