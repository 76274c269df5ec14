"""Runs inside namespaces: has rule files judged by the real udev and by us, on the same devices, and prints where they differ."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, cast

from akri.discovery.udev.details import UdevDetails
from akri.discovery.udev.kernel import KernelDevice, Scan, line
from akri.discovery.udev.match import selected
from akri.discovery.udev.rules import parse_rule
from akri.discovery.udev.source import scan_devices
from akri.testing.loop import loop_device
from tests.integration.udev.generated import Sample, rule_files
from tests.integration.udev.namespace import RULES, prepare

__all__ = ["main"]

_MARK: Final = ".AKRI_"
"""Begins the name of a property that says which rule matched; for its dot udev does not keep it."""
_SETUP: Final = """
KERNEL=="null|zero|tty1*|loop0|lo", TAG+="akri_one", ENV{AKRI_KIND}="first kind"
SUBSYSTEM=="pci|virtio|platform", TAG+="akri_bus", TAG+="akri_two", ENV{ID_MODEL}="Bus \\"9\\" [x]|*"
SUBSYSTEM=="block", ENV{ID_SERIAL_SHORT}="$kernel-0815", TAG+="systemd"
SUBSYSTEM=="tty", ATTR{dev}=="4:*", TAG+="seat"
"""
_INTERFACES: Final = {
    "akri!0": "blanks   ",
    "akri[1]": "   ",
    "akri|2*": "a|b \\*",
    "akri\u00e93": "caf\u00e9 \u20ac",
    "akri\\4": '"quoted"',
}
_LOOPS: Final = "/devices/virtual/block/loop"
_MOST_OF_A_KIND: Final = 12
"""Devices of a subsystem that are judged: a machine has hundreds of equal ones."""
_CHANGING: Final = ("stat", "inflight", "uevent", "power/", "statistics/", "carrier", "usage", "events")


def main() -> None:
    """Read {count, seed} or {rules, setups}; print what was judged and how, and where the verdicts differ."""
    question = json.load(sys.stdin)
    prepare()
    with _odd_devices() as made:
        sys.stdout.write(json.dumps(_judged(question, made)) + "\n")


def _judged(question: Mapping[str, Any], made: frozenset[str]) -> dict[str, object]:
    for setup in (setups := question.get("setups", [_SETUP])):
        _write(setup, [])
        scan = scan_devices(UdevDetails(()), everything=True)
        _ask(_chosen(scan, made))
    scan = scan_devices(UdevDetails(()), everything=True)
    chosen = _chosen(scan, made)
    given = [[rule] for rule in question.get("rules", [])]
    files = given or rule_files([_sample(scan, path) for path in chosen], question["count"], question["seed"])
    rules = [rule for file in files for rule in file]
    _write(setups[-1], rules)
    theirs, ours = _ask(chosen), _judge(rules, chosen)
    suspects = sorted({path for path in chosen if theirs[path] != ours[path]})
    # A device may have changed meanwhile: only what differs twice does differ.
    theirs_again, ours_again = _ask(suspects), _judge(rules, suspects)
    differences = [
        {"device": path, "rule": rules[number], "udev": number in theirs_again[path]}
        for path in suspects
        for number in sorted((theirs[path] ^ ours[path]) & (theirs_again[path] ^ ours_again[path]))
    ]
    hit = set[int]().union(*theirs.values())
    matching = sum(any(number in hit for number in numbers) for numbers in _numbers(files))
    answer: dict[str, object] = {
        "devices": len(chosen),
        "files": len(files),
        "rules": rules,
        "matching": matching,
        "differences": differences,
    }
    return answer | {"hits": sum(map(len, theirs.values()))}


@contextmanager
def _odd_devices() -> Generator[frozenset[str], None, None]:
    """Make devices with names and attributes that a machine rarely has: wildcards, blanks at the end, more than 511 bytes."""
    long = Path("/run", *("long name " * 20 for _ in range(3)), "end")
    odd = Path("/run", "odd \u00e9[x]|*\\ file  ")
    with ExitStack() as stack:
        made = set[str]()
        for file in (long, odd):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes(8192))
            made.add(stack.enter_context(loop_device(file)).devpath)
        for name, alias in _INTERFACES.items():
            subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True, timeout=10)
            Path("/sys/class/net", name, "ifalias").write_text(alias, "utf-8")
            made.add(f"/devices/virtual/net/{name}")
        yield frozenset(made)


def _numbers(files: Sequence[Sequence[str]]) -> list[range]:
    starts = [sum(map(len, files[:index])) for index in range(len(files))]
    return [range(start, start + len(file)) for start, file in zip(starts, files, strict=True)]


def _write(setup: str, rules: Sequence[str]) -> None:
    (RULES / "10-setup.rules").write_text(setup, "utf-8")
    judged = "".join(f'{rule}, ENV{{{_MARK}{number}}}="1"\n' for number, rule in enumerate(rules))
    (RULES / "20-judged.rules").write_text(judged, "utf-8")


def _ask(devices: Sequence[str]) -> dict[str, set[int]]:
    """Let the real udev play each device's arrival, ancestors first, for their tags count; give the rules that matched."""
    return {path: _verdict(path) for path in devices}


def _verdict(path: str) -> set[int]:
    command = ["udevadm", "test", "--action=add", f"/sys{path}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=30)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return {int(text.removeprefix(_MARK).partition("=")[0]) for text in lines if text.startswith(_MARK)}


def _judge(rules: Sequence[str], devices: Sequence[str]) -> dict[str, set[int]]:
    parsed = [parse_rule(rule) for rule in rules]
    scan = scan_devices(UdevDetails(tuple(parsed)), everything=True)
    ours: dict[str, set[int]] = {path: set() for path in devices}
    for number, rule in enumerate(parsed):
        for path in selected([rule], scan):
            if path in ours:
                ours[path].add(number)
    return ours


def _chosen(scan: Scan, always: frozenset[str]) -> list[str]:
    """Some devices of each subsystem, with all their ancestors; the number of a kind is bounded, the kinds are not.

    Loop devices of others are left out: tests beside this one plug them in and out between the two verdicts.
    """
    kinds: dict[str, int] = {}
    paths: set[str] = set()
    for path in sorted(scan.candidates):
        if path.startswith(_LOOPS) and path not in always:
            continue
        kind = scan.devices[path].subsystem
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] <= _MOST_OF_A_KIND or path in always:
            paths |= {device.devpath for device in line(scan.devices, path)}
    return sorted(paths & set(scan.candidates))


def _sample(scan: Scan, path: str) -> Sample:
    first, *above = [_shown(device) for device in line(scan.devices, path)]
    return Sample(first.keys, first.attributes, first.properties, first.tags, tuple(above))


def _shown(device: KernelDevice) -> Sample:
    keys = {"KERNEL": device.name, "SUBSYSTEM": device.subsystem, "DRIVER": device.driver, "DEVPATH": device.devpath}
    folder = Path("/sys") / device.devpath.lstrip("/")
    return Sample(keys, _attributes(folder), _properties(folder), tuple(sorted(device.tags)))


def _attributes(folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in sorted([*folder.iterdir(), *(folder / "queue").glob("*"), *(folder / "loop").glob("*")]):
        name = str(entry.relative_to(folder))
        if entry.is_file() and os.access(entry, os.R_OK) and entry.stat().st_mode & 0o400 and not name.startswith(_CHANGING):
            value = _content(entry)
            if value is not None:
                found[name] = value
    return found | {link: (folder / link).readlink().name for link in ("driver", "subsystem") if (folder / link).is_symlink()}


def _content(file: Path) -> str | None:
    try:
        text = file.read_bytes().decode("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if text.isprintable() and len(text) < 1000 else None


def _properties(folder: Path) -> Mapping[str, str]:
    lines = (folder / "uevent").read_text("utf-8", "replace").splitlines()
    fields = dict(cast("tuple[str, str]", tuple(text.split("=", 1))) for text in lines if "=" in text)
    return fields | {"AKRI_KIND": "first kind", "DEVPATH": str(folder).removeprefix("/sys"), "ID_MODEL": 'Bus "9" [x]|*'}


if __name__ == "__main__":
    main()
