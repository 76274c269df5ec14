"""The ten faults, each prepared for real on `akri up`: the first line of `akri explain` names it, the second says what to do."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.explain.explaining_up import Machine, machine

pytestmark = pytest.mark.timeout(180)


def configuration(name: str, handler: str, details: str, more: str = "", namespace: str = "default") -> str:
    """Write a Configuration; `more` are further lines of its spec."""
    lines = [
        "apiVersion: akri.sh/v0",
        "kind: Configuration",
        f"metadata: {{name: {name}, namespace: {namespace}}}",
        "spec:",
        "  discoveryHandler:",
        f"    name: {handler}",
        f"    discoveryDetails: '{details}'",
        *(f"  {line}" for line in more.splitlines()),
    ]
    return "\n".join(lines) + "\n"


def broker(command: str, policy: str = "Always", resource: str = "{{PLACEHOLDER}}") -> str:
    """Write the lines of a brokerSpec that runs a line of sh."""
    container = f'{{name: main, command: ["sh", "-c", "{command}"], resources: {{limits: {{"{resource}": 1}}}}}}'
    return f"brokerSpec: {{brokerPodSpec: {{restartPolicy: {policy}, containers: [{container}]}}}}"


ECHO = "descriptions: [foo0]"
SLEEP = broker("exec sleep 1000")


def test_handler_not_registered() -> None:
    with machine() as it:
        it.up(configuration("cam", "udevv", ""))
        found = it.until("^No discovery handler named udevv is registered on gateway: ", "cam")
        assert found.first.endswith("nobody looks for the devices of Configuration default/cam there")
        assert found.second == f"If udev is meant, change spec.discoveryHandler.name: akri edit cam --state {it.state.path}"
        assert found.code == 1


def test_bad_details() -> None:
    with machine() as it:
        it.up(configuration("cam", "debugEcho", "descriptions: 3"))
        found = it.until("^Discovery handler debugEcho refuses the discoveryDetails of Configuration default/cam: .*descriptions: ", "cam")
        assert found.second.startswith(f"Correct spec.discoveryHandler.discoveryDetails: akri edit cam --state {it.state.path}")
        it.state.folder.joinpath("all.yaml").write_text(configuration("cam", "debugEcho", ECHO))


def test_a_filter_that_drops_everything() -> None:
    with machine() as it:
        it.up(configuration("zero", "udev", 'udevRules: ["SUBSYSTEM==\\"mem\\", ATTR{dev}==\\"999:999\\""]'))
        found = it.until("^The filter of Configuration default/zero drops everything: ", "zero")
        assert re.search(r"of [0-9]+ candidates that udev sees on gateway, [0-9]+ fail at udevRules.0.: ATTR.dev.$", found.first)
        assert found.second == (
            "On the node that has the device: akri discover FILE --explain says what turned each device away; "
            f"then akri edit zero --state {it.state.path}"
        )


def forbidden_device() -> Path:
    """Find a device node of this machine that only its owner and group may read."""
    named = (Path("/dev", path.name) for kind in ("misc", "tty", "block") for path in sorted(Path("/sys/class", kind).glob("*")))
    return next(path for path in named if path.exists() and not path.stat().st_mode & 0o004)


def test_permission_denied_for_a_broker_on_a_node() -> None:
    device = forbidden_device()
    subsystem = Path("/sys/class").joinpath
    (kind,) = [kind for kind in ("misc", "tty", "block") if subsystem(kind, device.name).exists()]
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups " if os.geteuid() == 0 else ""
    with machine() as it:
        details = f'udevRules: ["SUBSYSTEM==\\"{kind}\\", KERNEL==\\"{device.name}\\""]'
        it.up(configuration("cam", "udev", details, broker(f"exec {nobody}head -c 1 $UDEV_DEVNODE")))
        found = it.until(f"^A permission is lacking on gateway: Broker default/cam-.*-pod on node gateway may not open {device}: ", "cam")
        assert found.first.endswith("Permission denied")
        assert found.second.startswith(f"ls -l {device} on gateway shows who may; let the broker's user be one of them")
        assert re.search("akri logs cam-[0-9a-f]*-pod", found.second)


def test_all_slots_held() -> None:
    with machine() as it:
        wanting = broker("exec sleep 1000", resource="akri.sh/cam")
        it.up(configuration("cam", "debugEcho", ECHO, SLEEP), configuration("late", "debugEcho", ECHO, wanting))
        pattern = (
            "^The one slot of Instance default/cam-8120fe is held by pod default/.*-pod on node gateway.*, "
            "and (broker|pod) default/.*-pod.* waits$"
        )
        found = it.until(pattern, "cam")
        held, waits = re.findall(r"default/(gateway-[a-z]+-8120fe-pod)", found.first)
        assert {held, waits} == {"gateway-cam-8120fe-pod", "gateway-late-8120fe-pod"}
        assert found.second == (f"End a holder, or let more share the device: raise spec.capacity, akri edit cam --state {it.state.path}")
        waiting = it.explain(f"broker/{waits}")
        assert (waiting.first, waiting.code) == (found.first, 1)


@pytest.mark.parametrize("policy", ["Always", "Never"])
def test_a_broker_that_crashes_again_and_again(policy: str) -> None:
    with machine() as it:
        it.up(configuration("cam", "debugEcho", ECHO, broker("echo no such camera; exit 7", policy)))
        found = it.until("^Broker default/gateway-cam-8120fe-pod on node gateway does not stay up: .*2 times in a row, the next", "cam")
        assert re.search(r"container main ended with exit code 7( \(Error\))?; it failed 2 times in a row, the next attempt", found.first)
        assert found.second == (
            f"See what it wrote: akri logs gateway-cam-8120fe-pod --state {it.state.path}; then correct spec.brokerSpec or the program"
        )
        assert "log: no such camera" in found.text
        assert it.explain("cam-8120fe").first.partition(";")[0] == found.first.partition(";")[0]


def test_missing_secret() -> None:
    with machine() as it:
        reference = "discoveryProperties: [{name: user, valueFrom: {secretKeyRef: {name: camera, key: user}}}]"
        text = configuration("cam", "debugEcho", ECHO).replace("    name: debugEcho\n", f"    name: debugEcho\n    {reference}\n")
        it.up(text)
        found = it.until("^Secret default/camera is missing: ", "cam")
        assert found.first == (
            "Secret default/camera is missing: Configuration default/cam takes its discovery property user from it, "
            "and no handler is asked before"
        )
        assert found.second.startswith("Make it: install -d -m 700 ")
        subprocess.run(["sh", "-c", found.second.removeprefix("Make it: ")], check=True, timeout=10)
        assert it.until("^Nothing is wrong with Configuration default/cam: 1 device on 1 node", "cam").code == 0


def test_e9_a_name_that_is_taken() -> None:
    with machine() as it:
        it.up(configuration("cam", "debugEcho", ECHO), configuration("cam", "debugEcho", "descriptions: [b]", namespace="site"))
        found = it.until("^Configuration site/cam is refused, for its name is taken: the older ", "site/cam")
        assert found.first.endswith(": the older Configuration default/cam has it")
        assert found.second == f"Give it another name: apply it under one, then akri delete cam -n site --state {it.state.path}"
        assert it.until("^Nothing is wrong", "default/cam").code == 0


def test_a_device_that_is_lost_and_in_its_grace() -> None:
    with machine() as it:
        folder = it.state.folder / "cabinet"
        it.up(configuration("cam", "cabinet", f'folder: "{folder}"', SLEEP))
        with it.cabinet():
            (folder / "front").touch()
            it.until("^Nothing is wrong with Configuration default/cam: 1 device on 1 node, 1 of 1 broker running", "cam")
            (folder / "front").unlink()
            found = it.until("^Device .* is lost: ", "cam")
            assert found.first.startswith(f"Device {folder}/front (Instance default/cam-")
            rest = re.search(r"it is kept for another (\d) min (\d+) s$", found.first)
            assert rest is not None, found.first
            assert 200 < 60 * int(rest[1]) + int(rest[2]) <= 300
            assert found.second.startswith("Connect it again within that time and nothing is lost; the annotation akri.sh/grace")
            time.sleep(2)  # it counts seconds
            later = it.explain("cam").first
            assert later != found.first, "it counts down"
            (folder / "front").touch()
            it.until("^Nothing is wrong with Configuration default/cam: 1 device", "cam")


def test_a_lost_node() -> None:
    with machine() as it:
        it.up(configuration("cam", "debugEcho", ECHO, "capacity: 2"))
        it.until("^Nothing is wrong with Configuration default/cam: 1 device on 1 node", "cam")
        second = it.state.start("node", "--name", "line-2")
        it.until("^Nothing is wrong with Configuration default/cam: 1 device on 2 nodes", "cam")
        it.state.kill(second)
        found = it.until("^Node line-2 has not been ready for ", "cam")
        assert re.search("it counts as lost in [45] min [0-9]+ s; it has 1 device, 0 slots and 0 brokers of", found.first)
        assert found.second.startswith(
            f"Bring it back: akri node --name line-2 --state {it.state.path}; when it is lost its slots are freed"
        )
        again = it.state.start("node", "--name", "line-2")
        it.until("^Nothing is wrong with Configuration default/cam: 1 device on 2 nodes", "cam")
        assert again.poll() is None


def test_names_and_exit_codes_without_any_fault() -> None:
    with machine() as it:
        it.up(configuration("cam", "debugEcho", ECHO, SLEEP))
        _well(it)
        missing = it.explain("came")
        assert (missing.code, missing.text) == (3, "")


def test_nothing_runs_any_more() -> None:
    with machine() as it:
        it.up(configuration("cam", "debugEcho", ECHO, SLEEP))
        _well(it)
        it.state.end(it.state.programs[0])
        found = it.explain("cam")
        assert (found.code, found.first) == (1, f"Nobody looks after Configuration default/cam: no 'akri up' runs on {it.state.path}")
        assert found.second.startswith(f"Start it: akri up --state {it.state.path}; ")


def _well(it: Machine) -> None:
    it.until("^Nothing is wrong with Configuration default/cam: 1 device on 1 node, 1 of 1 broker running", "cam")
    for name in ("cam-8120fe", "instance/cam-8120fe", "gateway-cam-8120fe-pod"):
        found = it.explain(name)
        assert (found.code, found.first.startswith("Nothing is wrong with ")) == (0, True)
