"""A node of a test cluster: a real kubelet with its containerd, in namespaces of their own, as if on a machine of their own.

Process 1 of a node (`node_init.sh`) holds its process, mount, network and host name namespaces. The kernel ends all processes,
shims, containers, mounts and interfaces of the node with it: a power cut is one SIGKILL, and nothing can be left behind. What a
node keeps over a reboot is in its folder, at the same paths for the node and for this machine:

    <state>/<name>/plugins      /var/lib/kubelet/device-plugins
    <state>/<name>/kubelet      /var/lib/kubelet otherwise: pod-resources/kubelet.sock
    <state>/<name>/{etc,var}    /etc, /var: containerd's images, pod logs
    <state>/<name>/{run,tmp}    /run, /tmp: emptied at each boot
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster.containers import Container, containers
from tests.cluster.network import Network, Place, run, short_id
from tests.cluster.node_config import etc_files, kubelet_config
from tests.cluster.processes import Process, ProcessError

__all__ = ["Node"]

_INIT = Path(__file__).parent / "node_init.sh"
_LONGEST_SOCKET = 107  # bytes of a path
_PLUGIN_SOCKET = "akri-01234567-01234567.sock"
_STARTING_SECONDS = 60.0  # 1 on an idle machine
_NAMESPACES = "mount", "net", "pid", "uts"
# Signals meant for the program reach the nsenter that waits for it too (one process group): it must not end first.
_SHIELD = ("sh", "-c", 'trap "" TERM INT HUP; exec "$@"', "shield")


class Node:
    """One node. `program` is the Kubernetes program, `index` (from 1) its place in the network, which must have been created.

    `kubeconfig` is the login of its kubelet (user `system:node:NAME`, group `system:nodes`), with the API server at this machine's
    end of the bridge (`Network.host`), where it listens on `port`.

    Nothing belongs to an event loop or to the process that made it: a later Node of the same name and state goes on with it.
    """

    def __init__(self, name: str, index: int, *, state: Path, network: Network, kubeconfig: Path, port: int, program: Path) -> None:
        self.name = name
        self.folder = state / name
        self.place: Place = network.place(index)
        self._network = network
        self._kubeconfig = kubeconfig
        self._port = port
        self._program = program
        self._state = state
        command = ("unshare", *(f"--{kind}" for kind in _NAMESPACES), "--fork", "--kill-child", "--propagation", "private")
        self.machine = self._process("init", (*command, "sh", str(_INIT), name, str(self.folder), str(program)))
        self.containerd = self._process("containerd", ())
        self.kubelet = self._process("kubelet", ())
        longest = max(len(bytes(file)) for file in (self.plugins / _PLUGIN_SOCKET, self.pod_resources_socket, self._socket))
        if longest > _LONGEST_SOCKET:
            raise ValueError(f"the path {state} is too long by {longest - _LONGEST_SOCKET} bytes: sockets below it could not be reached")
        if self.machine.alive:
            self._aim()

    @property
    def plugins(self) -> Path:
        """The kubelet's device plugin directory."""
        return self.folder / "plugins"

    @property
    def pod_resources_socket(self) -> Path:
        """The kubelet's PodResources socket."""
        return self.folder / "kubelet" / "pod-resources" / "kubelet.sock"

    @property
    def cgroup(self) -> str:
        """The node's folder in every cgroup hierarchy."""
        return f"{short_id(self._state)}/{self.name}"

    @property
    def init(self) -> int | None:
        """Process 1 of the node as seen from this machine; None while the node is off."""
        return _first_child(self.machine.pid) if self.machine.pid is not None else None

    async def start(self, images: Sequence[Path] = ()) -> None:
        """Switch the node on, with these image files imported, and return when its kubelet has been started.

        Raises ProcessError or CommandError with the reason if a program does not come up or an image cannot be imported.
        """
        self._write_files()
        await self._boot(images)

    async def power_off(self) -> None:
        """End everything on the node at once, as if its power were cut; what is on its disk stays."""
        init = self.init
        if init is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(init, signal.SIGKILL)  # the kernel ends all others of the namespace before it ends this one
        if not await self.machine.ended(10.0):
            await self.machine.kill()
        for process in (self.kubelet, self.containerd):
            await process.kill()
        await self._network.detach(self.place)
        await cgroups.remove(self.cgroup)

    async def reboot(self, seconds_off: float = 0.0) -> None:
        """Cut the power, wait, and switch the node on again; its pods are then for the kubelet to handle."""
        await self.power_off()
        await asyncio.sleep(seconds_off)
        await self._boot()

    async def stop_kubelet(self) -> None:
        """End the kubelet alone (SIGTERM); see `kubelet` for other ends."""
        await self.kubelet.stop()

    async def start_kubelet(self) -> None:
        """Start the kubelet alone, unless it runs; returns when it serves device plugins and PodResources."""
        await self._start(self.kubelet, self.plugins / "kubelet.sock", self.pod_resources_socket)

    async def start_containerd(self) -> None:
        """Start containerd alone, unless it runs; returns when it serves."""
        await self._start(self.containerd, self._socket)

    async def _start(self, process: Process, *sockets: Path) -> None:
        async def serving() -> bool:
            return all(_listens(path) for path in sockets)

        if not process.alive:
            process.start()
        await process.ready(serving, seconds=_STARTING_SECONDS)

    async def remove(self) -> None:
        """Leave nothing of the node but its object in the API."""
        await self.power_off()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def cut(self) -> None:
        """Cut the node's network, until `mend`: nothing answers, nothing is refused."""
        await self._network.cut(self.place)

    async def mend(self) -> None:
        """End `cut`."""
        await self._network.mend(self.place)

    async def import_image(self, file: Path) -> None:
        """Give the node's containerd the image in an OCI layout file; it stays over reboots."""
        await run(
            "ctr",
            "--address",
            str(self._socket),
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--snapshotter",
            self._snapshotter,
            str(file),
        )

    async def execute(self, container: str, *command: str, seconds: float = 30.0) -> str:
        """Run a program in the container of this id; returns its output. Raises CommandError if it fails."""
        inside = ("ctr", "--namespace", "k8s.io", "tasks", "exec", "--exec-id", uuid.uuid4().hex, container, *command)
        return await run(*self._enter(), *inside, seconds=seconds)

    async def run(self, *command: str, seconds: float = 30.0) -> str:
        """Run a program on the node, outside all containers; returns its output. Raises CommandError if it fails."""
        return await run(*self._enter(), *command, seconds=seconds)

    def container(self, namespace: str, pod: str, name: str = "main") -> Container:
        """The living container of this name. Raises LookupError if there is none."""
        for container in self.containers():
            if (container.namespace, container.pod, container.name) == (namespace, pod, name) and container.pid is not None:
                return container
        raise LookupError(f"no container {name} of pod {namespace}/{pod} lives on {self.name}")

    def containers(self) -> list[Container]:
        """What containers are there now, living or not; holds also while kubelet and containerd are stopped."""
        return containers(self.folder / "run")

    async def _boot(self, images: Sequence[Path] = ()) -> None:
        for folder in ("run", "tmp"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)
        for folder in ("run", "tmp", "root", "kubelet/device-plugins", "plugins", "var/log", "var/lib/kubelet", "var/lib/containerd"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        cgroups.create(self.cgroup)
        self.machine.start()
        await self.machine.ready(self._booted, seconds=60)
        init = self.init
        if init is None:
            raise ProcessError(f"{self.name} ended while it was booting:\n{self.machine.tail()}")
        await self._network.attach(self.place, init)
        await self.run("nft", "--file", "/etc/nftables.conf")
        self._aim()
        await self.start_containerd()
        for image in images:
            await self.import_image(image)
        await self.start_kubelet()

    async def _booted(self) -> bool:
        return (self.folder / "run" / "booted").exists()

    @property
    def _socket(self) -> Path:
        return self.folder / "run" / "containerd" / "containerd.sock"

    @property
    def _snapshotter(self) -> str:
        return "native" if _is_overlay(self.folder) else "overlayfs"

    def _enter(self) -> tuple[str, ...]:
        if self.init is None:
            raise ProcessError(f"{self.name} is off")
        return ("nsenter", f"--target={self.init}", *(f"--{kind}" for kind in _NAMESPACES))

    def _aim(self) -> None:
        """Point the orders for kubelet and containerd at the namespaces of this boot."""
        options = {
            "config": "/var/lib/kubelet/config.yaml",
            "kubeconfig": "/var/lib/kubelet/kubeconfig",
            "hostname-override": self.name,
            "node-ip": self.place.address,
            "cert-dir": "/var/lib/kubelet/pki",
        }
        kubelet = ("/opt/kubernetes", "kubelet", *(f"--{key}={value}" for key, value in options.items()))
        self.kubelet.argv = (*_SHIELD, *self._enter(), *kubelet)
        self.containerd.argv = (*_SHIELD, *self._enter(), "containerd", "--config", "/etc/containerd/config.toml")

    def _write_files(self) -> None:
        etc = self.folder / "etc"
        for folder in ("alternatives", "kubernetes/manifests"):
            (etc / folder).mkdir(parents=True, exist_ok=True)
        machine_id = uuid.uuid5(uuid.NAMESPACE_URL, str(self.folder)).hex
        for path, text in etc_files(self.name, machine_id, self.place, self._port, self._snapshotter).items():
            (etc / path).parent.mkdir(parents=True, exist_ok=True)
            (etc / path).write_text(text, encoding="utf-8")
        own = self.folder / "kubelet"
        own.mkdir(exist_ok=True)
        (own / "config.yaml").write_text(kubelet_config(self.cgroup), encoding="utf-8")
        shutil.copy(self._kubeconfig, own / "kubeconfig")

    def _process(self, name: str, argv: Sequence[str]) -> Process:
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return Process(f"{self.name}-{name}", argv, state=self._state, environment=environment)


def _first_child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _listens(path: Path) -> bool:
    """Whether a server accepts connections there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(str(path)) == 0


def _is_overlay(folder: Path) -> bool:
    """Whether the folder lies on overlayfs, on which containerd cannot lay another."""
    mounts = [line.partition(" - ") for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    above = [(before.split()[4], after.split()[0]) for before, _, after in mounts if folder.is_relative_to(before.split()[4])]
    return max(above, key=lambda mount: len(mount[0]), default=("", ""))[1] == "overlay"
