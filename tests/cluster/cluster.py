"""A whole cluster: the control plane with all its parts, and nodes with kubelet and containerd.

Like its parts it belongs to no event loop, and a later `Cluster` on the same state folder goes on with what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import aiohttp

from tests.cluster.admin import Admin
from tests.cluster.api_server import ALL_CONTROLLERS, PARTS, ApiServer
from tests.cluster.images import node_images
from tests.cluster.network import Network
from tests.cluster.nodes import Node
from tests.cluster.processes import Process, ProcessError, eventually

__all__ = ["NODES", "Cluster"]

NODES = ("node-a", "node-b")
_READY_SECONDS = 120.0
# A node that says nothing is missed after 16 s, not 50: its kubelet speaks every 2 s.
_ARGUMENTS = {"kube-controller-manager": ("--node-monitor-grace-period=16s", "--node-monitor-period=1s")}


class Cluster:
    """`api_server` and `nodes` are there after `start`, or when `runs` said yes. `program` is the Kubernetes program (see `build`)."""

    api_server: ApiServer
    nodes: tuple[Node, ...]

    def __init__(self, program: Path, state: Path, names: Sequence[str] = NODES) -> None:
        self.state = state
        self._program = program
        self._names = tuple(names)
        self._network = Network(state)

    async def start(self) -> None:
        """Start what does not run; returns when every node is Ready and pods can be made in the namespace default.

        Raises ProcessError with the end of the log of the part that failed, or CommandError. `states.clean` removes what was made.
        """
        images = asyncio.create_task(asyncio.to_thread(node_images, self.state / "images"))
        try:
            await self._network.create()
            self._find()
            await self._start_control_plane()
        finally:
            found = await images
        async with asyncio.TaskGroup() as tasks:
            for node in self.nodes:
                tasks.create_task(self._start_node(node, found))
        await self.ready()

    async def runs(self) -> bool:
        """Whether all of it was started, by whomever, and is well: then `start` has nothing left to do."""
        try:
            self._find()
        except FileNotFoundError:
            return False
        control_plane = [self.api_server.part(name) for name in PARTS]
        on_nodes = [process for node in self.nodes for process in (node.machine, node.containerd, node.kubelet)]
        if not all(process.alive for process in control_plane + on_nodes):
            return False
        try:
            await self.ready(seconds=10.0)
        except (ProcessError, TimeoutError, aiohttp.ClientError):
            return False
        return True

    async def stop(self) -> None:
        """Switch the nodes off and stop the control plane. The state stays; `states.clean` removes all."""
        for node in self.nodes:
            await node.power_off()
        await self.api_server.stop()

    def admin(self) -> Admin:
        """A client with all rights; an async context manager."""
        return self.api_server.admin()

    def node(self, name: str) -> Node:
        """One of the nodes: its `kubelet` and `containerd` are processes, itself it can be cut off and rebooted."""
        return next(node for node in self.nodes if node.name == name)

    def part(self, name: str) -> Process:
        """The process of one part: of the control plane by its program's name, of a node as `node-a/kubelet` or `node-a/containerd`."""
        node, _, program = name.rpartition("/")
        if not node:
            return self.api_server.part(program)
        return {"kubelet": self.node(node).kubelet, "containerd": self.node(node).containerd}[program]

    async def ready(self, names: Sequence[str] = (), *, seconds: float = _READY_SECONDS) -> None:
        """Wait until these nodes, or all, are Ready and the namespace default has its service account.

        Raises ProcessError if a kubelet ends meanwhile, or with the end of its log when time runs out.
        """
        nodes = [self.node(name) for name in names] or list(self.nodes)
        async with self.admin() as admin:

            async def account() -> bool:
                return await admin.find("/api/v1/namespaces/default/serviceaccounts/default") is not None

            await eventually(account, seconds=seconds, what="the service account of the namespace default")
            for node in nodes:
                await node.kubelet.ready(partial(_is_ready, admin, node.name), seconds=seconds)

    def _find(self) -> None:
        """Take over what an earlier run left, running or not. Raises FileNotFoundError if there is no network."""
        host = self._network.host
        users = {_user(name): "system:nodes" for name in self._names}
        self.api_server = ApiServer(self._program, self.state, bind="0.0.0.0", addresses=(host,), users=users, arguments=_ARGUMENTS)
        self.nodes = tuple(self._node(name, index) for index, name in enumerate(self._names, start=1))

    async def _start_control_plane(self) -> None:
        await self.api_server.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.api_server.start_controller_manager(ALL_CONTROLLERS))
            tasks.create_task(self.api_server.start_scheduler())

    def _node(self, name: str, index: int) -> Node:
        login, port = self._login(name), self.api_server.port
        return Node(name, index, state=self.state, network=self._network, kubeconfig=login, port=port, program=self._program)

    def _login(self, name: str) -> Path:
        return self.state / f"{name}.kubeconfig"

    async def _start_node(self, node: Node, images: Sequence[Path]) -> None:
        if not (node.machine.alive and node.containerd.alive and node.kubelet.alive):
            self.api_server.kubeconfig_of(_user(node.name), self._login(node.name), f"https://{self._network.host}:{self.api_server.port}")
            await node.power_off()
            await node.start(images)


def _user(node: str) -> str:
    """The name by which the API server knows a kubelet."""
    return f"system:node:{node}"


async def _is_ready(admin: Admin, name: str) -> bool:
    node = await admin.find(f"/api/v1/nodes/{name}")
    conditions = (node or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
