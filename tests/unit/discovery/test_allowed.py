"""What an operator lets handlers do (T2)."""

from __future__ import annotations

import pytest

from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import Problem
from akri.core.ids import DeviceId, HandlerName
from akri.discovery.allowed import USUAL, Allowed, name_refusal, restricted
from akri.discovery.snapshot import Snapshot


def _device(name: str = "a", *, mount: str = "", node: str = "") -> Device:
    mounts = (Mount("/in", mount),) if mount else ()
    nodes = (DeviceNode("/dev/in", node),) if node else ()
    return Device(DeviceId(name), {}, mounts, nodes)


@pytest.mark.parametrize("node", ["/dev/video0", "/dev/bus/usb/001/002", "/dev"])
@pytest.mark.parametrize("mount", ["/", "/etc/x"])
def test_usually_any_mount_and_nodes_in_dev_are_allowed(node: str, mount: str) -> None:
    snapshot = Snapshot((_device(node=node, mount=mount),))
    assert restricted(snapshot, USUAL) is snapshot
    assert name_refusal(HandlerName("anything"), USUAL) is None


@pytest.mark.parametrize("path", ["/etc/shadow", "/device/x", "dev/x", "", "/"])
def test_t2_a_device_node_elsewhere_is_refused_and_others_stay(path: str) -> None:
    good = _device("good", node="/dev/a")
    bad = Device(DeviceId("bad"), {}, (), (DeviceNode("/dev/in", path),))
    found = restricted(Snapshot((bad, good), problems=(Problem("x", "y"),)), USUAL)
    assert found.devices == (good,)
    said = f"{path!r} is not allowed on this node: expected a path in /dev"
    assert found.problems == (Problem("x", "y"), Problem("device 'bad'.deviceSpecs[0].hostPath", said))


def test_t2_mounts_are_held_to_the_folders() -> None:
    allowed = Allowed(mounts=("/srv/akri/", "/opt"))
    snapshot = Snapshot((_device("a", mount="/srv/akri/a"), _device("b", mount="/opt"), _device("c", mount="/srv/akri-else")))
    found = restricted(snapshot, allowed)
    assert [device.id for device in found.devices] == ["a", "b"]
    (problem,) = found.problems
    assert problem.place == "device 'c'.mounts[0].hostPath"
    assert problem.message == "'/srv/akri-else' is not allowed on this node: expected a path in /srv/akri/, /opt"


def test_nothing_may_be_allowed() -> None:
    found = restricted(Snapshot((_device(node="/dev/a"),)), Allowed(frozenset(), (), ()))
    assert found.devices == ()
    assert found.problems[0].message.endswith("expected a path in no folder")
    assert str(name_refusal(HandlerName("x"), Allowed(frozenset()))).endswith("expected one of none")
