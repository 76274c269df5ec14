"""What the behaviour tests need of a kubelet, so that they run unchanged against ours and a real one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from attrs import frozen

from akri.deviceplugin.devices import PodRequest

__all__ = ["Driver", "Habits"]


@frozen
class Habits:
    """In what two kubelets differ, as data: each is listed in docs/device-manager.md with its reason.

    older_end_cuts_newer: the end of an older stream of a resource disconnects the newer plugin too.
    older_list_counts: a device list of a plugin that another one followed for the same resource still replaces the present one.
    endpoint_elsewhere: a registration may name a socket outside the device plugin directory.
    any_permissions: what a plugin answers for a device node's permissions is passed on to the container runtime, whatever it is.
    empty_answer_leaks: devices of an Allocate that was answered with nothing count as used until a pod with devices ends.
    """

    older_end_cuts_newer: bool
    older_list_counts: bool
    endpoint_elsewhere: bool
    any_permissions: bool
    empty_answer_leaks: bool


class Driver(Protocol):
    """A kubelet with its node: pods go in, and what became of them comes out. Pods have containers that run until told to end."""

    @property
    def habits(self) -> Habits:
        """In what it differs from others."""
        ...

    @property
    def plugins(self) -> Path:
        """The device plugin directory."""
        ...

    @property
    def outside(self) -> Path:
        """The folder that the device plugin directory is in, as the kubelet sees it."""
        ...

    @property
    def pod_resources_socket(self) -> Path:
        """The PodResources socket."""
        ...

    async def run(self, request: PodRequest) -> Mapping[str, Mapping[str, str]]:
        """Start a pod; answer the environment that each container got from its devices once all main containers run.

        Init containers end well at once. Raises AdmissionError with the kubelet's text.
        """
        ...

    async def start_again(self, request: PodRequest, container: str) -> Mapping[str, str]:
        """Let a main container fail, and wait until it runs again; answer its environment."""
        ...

    async def end(self, request: PodRequest) -> None:
        """Let a pod end by itself, and wait until it has."""
        ...

    async def delete_by_force(self, request: PodRequest) -> None:
        """Delete a pod without grace, and wait until the kubelet has heard of it; its containers may live on."""
        ...

    async def ended_by_restart(self, request: PodRequest) -> None:
        """Wait until a pod that was running was ended by the restarted kubelet.

        Why is not told: a kubelet 1.36 overwrites the reason in about half of all cases, when it notes how the containers ended.
        """
        ...

    def runs(self, request: PodRequest) -> bool:
        """Tell whether a pod that was started runs, all its main containers in their first life or a later one."""
        ...

    async def shows(self, resource: str, *, capacity: int, allocatable: int) -> None:
        """Wait until the Node object shows a resource like this; raises TimeoutError if that does not come."""
        ...

    async def stop(self) -> None:
        """Stop the kubelet; its pods go on."""
        ...

    async def start(self) -> None:
        """Start the kubelet again, and wait until it works."""
        ...

    async def restart(self) -> None:
        """Restart the kubelet; its pods go on."""
        ...
