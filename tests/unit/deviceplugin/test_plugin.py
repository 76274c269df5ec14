"""What of the plugin side needs no kubelet: names of sockets, and paths that are too long for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from akri.core.edits import ContainerEdits
from akri.core.errors import InvalidValueError
from akri.core.ids import ResourceName
from akri.deviceplugin.host import PluginHost
from akri.deviceplugin.manager import DeviceManager
from akri.deviceplugin.plugin import socket_name
from akri.deviceplugin.wire import DeviceIds
from akri.rpc import MAX_PATH, check_socket_path
from akri.testing.clock import VirtualClock


async def nothing(_resource: ResourceName, _ids: DeviceIds) -> ContainerEdits:
    return ContainerEdits()


def test_a_sockets_name_is_short_whatever_the_resource() -> None:
    names = {socket_name(ResourceName(f"akri.sh/{'x' * length}"), token) for length in (1, 63) for token in (0, 2**32 - 1)}
    assert {len(name) for name in names} == {27}
    assert len(names) == 4


def test_a_path_of_107_bytes_is_the_longest() -> None:
    path = Path("/" + "ä" * ((MAX_PATH - 1) // 2))
    assert check_socket_path(path) == path
    with pytest.raises(InvalidValueError, match="a path of at most 107 bytes"):
        check_socket_path(path.with_name(path.name + "x"))


def test_a_directory_that_is_too_deep_is_refused_at_once() -> None:
    fits = Path("/" + "d" * (MAX_PATH - 1 - 28))
    PluginHost(fits, nothing, clock=VirtualClock())
    with pytest.raises(InvalidValueError, match="socket"):
        PluginHost(fits.with_name(fits.name + "d"), nothing, clock=VirtualClock())


@pytest.mark.parametrize(("directory", "socket"), [("/" + "d" * 100, "/s"), ("/d", "/" + "s" * 106)])
def test_a_device_manager_refuses_long_paths_at_once(directory: str, socket: str) -> None:
    with pytest.raises(InvalidValueError, match="socket"):
        DeviceManager(Path(directory), Path(socket), clock=VirtualClock())


def test_what_is_not_offered_can_be_withdrawn() -> None:
    host = PluginHost(Path("/absent"), nothing, clock=VirtualClock())
    host.withdraw(ResourceName("akri.sh/r"))
    host.offer(ResourceName("akri.sh/r"), {}, in_use=True)
    host.withdraw(ResourceName("akri.sh/r"))
    assert host.streaming == frozenset()
