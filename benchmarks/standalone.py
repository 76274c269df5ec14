"""What `akri up` costs, as a program of its own on a state folder: a start with much to take up, idling, and the way of a device.

Start: 1,000 Instances are known, each with a plugin that has to be registered, and 100 brokers run that have to be adopted; from the
start of the program, Python's own included, until all of it is served. Idle: two devices with a broker each. Plugged: loop devices,
one after the other, from the moment at which the file is attached until the line about it is read.
"""

from __future__ import annotations

from typing import Final

from akri.testing.loop import loop_devices_refused
from benchmarks._harness import Case, main

__all__ = ["RUNS"]

RUNS: Final = 3


def _case(name: str, call: str, unit: str, aim: float | None, scale: float = 1.0) -> Case:
    return Case(name, f"from benchmarks import _standalone\n_standalone.{call}", unit, aim, scale=scale, runs=RUNS)


def _cases() -> list[Case]:
    cases = [
        _case("start with 1,000 Instances and 100 brokers to adopt", "started(processor=False)", "s", 3.0),
        _case("processor time of that start", "started(processor=True)", "s", None),
        _case("idle, resident memory", "idle(processor=False)", "MiB", 70.0),
        _case("idle, processor time of one core", "idle(processor=True)", "%", 0.5),
    ]
    if not loop_devices_refused():
        cases.append(_case("plugged to Instance, p95", "plugged(broker=False)", "ms", 100.0, scale=1000.0))
        cases.append(_case("plugged to broker started, p95", "plugged(broker=True)", "ms", 300.0, scale=1000.0))
    return cases


if __name__ == "__main__":
    main("standalone", _cases())
