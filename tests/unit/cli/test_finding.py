"""What `akri discover` prints of an answer: the Instances that the agent of this node would make, and why there are not more."""

from __future__ import annotations

from akri.cli.finding import changes, document, found, table
from akri.core.codec import read_configuration
from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import Problem
from akri.core.ids import DeviceId, NodeName
from akri.discovery.snapshot import Snapshot, SourceReport

NODE = NodeName("node-a")
CONFIGURATION = read_configuration(
    {
        "apiVersion": "akri.sh/v0",
        "kind": "Configuration",
        "metadata": {"name": "cam", "namespace": "lab"},
        "spec": {"discoveryHandler": {"name": "mine"}, "brokerProperties": {"COLOUR": "green"}},
    }
)
FOO = Device(DeviceId("foo0"), {"KEY": "v"}, (Mount("/in", "/out", read_only=True),), (DeviceNode("/dev/x", "/dev/y", "r"),))
BAR = Device(DeviceId("foo1"))


def test_devices_have_the_names_that_the_agent_gives_them() -> None:
    result = found(CONFIGURATION, Snapshot((BAR, FOO)), NODE, shared=True)

    assert [one.instance for one in result.devices] == ["cam-8120fe", "cam-a19705"], "the golden names of upstream"
    assert found(CONFIGURATION, Snapshot((FOO,)), NODE, shared=False).devices[0].instance not in {"cam-8120fe", "cam-a19705"}


def test_the_table_shows_what_is_found_and_what_was_dropped() -> None:
    report = SourceReport(12, {"no such scope": 8, "excluded": 1}, "one answer was late")

    assert list(table(found(CONFIGURATION, Snapshot((FOO, BAR), report), NODE, shared=True))) == [
        "Configuration lab/cam: 2 devices found by mine",
        "  INSTANCE    DEVICE ID  DEVICE NODES",
        "  cam-8120fe  foo0       /dev/y",
        "      COLOUR=green",
        "      KEY=v",
        "  cam-a19705  foo1       -",
        "      COLOUR=green",
        "  of 12 candidates, dropped:",
        "    8  no such scope",
        "    1  excluded",
        "  one answer was late",
    ]


def test_devices_that_cannot_be_used_are_problems() -> None:
    unreadable = Problem("device 'z'.permissions", "'all' is not valid")
    snapshot = Snapshot((FOO, FOO, Device(DeviceId("a\nb"))), problems=(unreadable,))

    lines = list(table(found(CONFIGURATION, snapshot, NODE, shared=True)))

    assert lines[0] == "Configuration lab/cam: 1 device found by mine"
    problems = [line for line in lines if line.startswith("  problem: ")]
    assert len(problems) == 3
    assert any("'foo0'" in line for line in problems)
    assert any("'a\\nb'" in line for line in problems)
    assert f"  problem: {unreadable}" in problems


def test_two_devices_with_one_digest_have_names_of_their_own() -> None:
    first, second = (Device(DeviceId(text)) for text in ("d2318", "d2629"))
    names = sorted(one.instance for one in found(CONFIGURATION, Snapshot((first, second)), NODE, shared=True).devices)

    assert len(names) == 2
    assert [name for name in names if name == "cam-6db282"] == ["cam-6db282"]


def test_changes_name_what_came_went_and_differs() -> None:
    before = found(CONFIGURATION, Snapshot((FOO,)), NODE, shared=True)
    other = Device(FOO.id, {"KEY": "w"}, FOO.mounts, FOO.device_nodes)
    moved = Device(FOO.id, {"KEY": "w"}, (), FOO.device_nodes)

    assert list(changes(before, before)) == []
    after = found(CONFIGURATION, Snapshot((other, BAR)), NODE, shared=True)
    assert list(changes(before, after)) == ["cam  ~ cam-8120fe  foo0  KEY=w", "cam  + cam-a19705  foo1"]
    last = found(CONFIGURATION, Snapshot((moved, moved)), NODE, shared=True)
    lines = list(changes(after, last))
    assert lines[:2] == ["cam  - cam-a19705  foo1", "cam  ~ cam-8120fe  foo0  other mounts or device nodes"]
    assert lines[2].startswith("cam  problem: ")


def test_the_document_holds_everything() -> None:
    result = found(CONFIGURATION, Snapshot((FOO,), SourceReport(3, {"x": 2}, "hm")), NODE, shared=True)

    assert document([result]) == {
        "configurations": [
            {
                "namespace": "lab",
                "name": "cam",
                "handler": "mine",
                "devices": [
                    {
                        "id": "foo0",
                        "instance": "cam-8120fe",
                        "properties": {"COLOUR": "green", "KEY": "v"},
                        "mounts": [{"containerPath": "/in", "hostPath": "/out", "readOnly": True}],
                        "deviceNodes": [{"containerPath": "/dev/x", "hostPath": "/dev/y", "permissions": "r"}],
                    }
                ],
                "candidates": 3,
                "dropped": {"x": 2},
                "message": "hm",
                "problems": [],
            }
        ]
    }
