"""Two nodes are as separate, and as connected, as two machines; what tests read of them is the truth."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster.admin import RequestError
from tests.cluster.cluster import NODES, Cluster
from tests.cluster.containers import end_of
from tests.cluster.images import build_image
from tests.cluster.network import CommandError
from tests.cluster.node_pods import end_pod, logs, pod, reached, run_pod
from tests.cluster.nodes import Node
from tests.integration.nodes.pods import is_ready, pods_of

pytestmark = pytest.mark.timeout(120)

_TALK = "while :; do echo I am $(hostname) | nc -l -p 8080; done"
_ASK = "nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached $KUBERNETES_SERVICE_HOST"


def token_of(node: Node) -> str:
    """The credential that a node's kubelet uses."""
    content = json.loads((node.folder / "kubelet" / "kubeconfig").read_text(encoding="utf-8"))
    return str(content["users"][0]["user"]["token"])


def command_of(pid: int) -> list[str]:
    """What a process runs, as this machine sees it."""
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0").split("\0")


async def test_nodes_are_ready_at_addresses_of_their_own(cluster: Cluster) -> None:
    async with cluster.admin() as admin:
        found = {node["metadata"]["name"]: node for node in await admin.list("/api/v1/nodes")}
        assert set(found) == set(NODES)
        for name in NODES:
            assert await is_ready(admin, name)
            assert {"type": "InternalIP", "address": cluster.node(name).place.address} in found[name]["status"]["addresses"]
        assert len({found[name]["status"]["nodeInfo"]["machineID"] for name in NODES}) == len(NODES)
        assert len({found[name]["status"]["nodeInfo"]["bootID"] for name in NODES}) == len(NODES)


async def test_pods_of_two_nodes_reach_each_other_and_the_api(cluster: Cluster) -> None:
    async with cluster.admin() as admin, pods_of(admin) as pods:
        talking = {name: await pods.run(name, script=_TALK) for name in NODES}
        for name, other in zip(NODES, reversed(NODES), strict=True):
            container = cluster.node(name).container("default", talking[name]["metadata"]["name"])
            address = talking[other]["status"]["podIP"]
            answer = await cluster.node(name).execute(container.id, "nc", "-w", "5", address, "8080")
            assert answer == f"I am {talking[other]['metadata']['name']}\n"
            asking = await pods.run(name, script=_ASK, phase="Succeeded")
            assert await logs(admin, asking) == "reached 10.96.0.1\n"


async def test_credential_of_a_node_is_for_that_node_alone(cluster: Cluster) -> None:
    async with cluster.admin() as admin:
        token = token_of(cluster.node("node-a"))
        label = {"metadata": {"labels": {"test": "mine"}}}
        await admin.patch("/api/v1/nodes/node-a", label, token=token)
        with pytest.raises(RequestError) as other:
            await admin.patch("/api/v1/nodes/node-b", label, token=token)
        assert other.value.status == 403
        await admin.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "unused", "namespace": "default"}})
        with pytest.raises(RequestError, match="no relationship found between node 'node-a' and this object") as secret:
            await admin.get("/api/v1/namespaces/default/secrets/unused", token=token)
        assert secret.value.status == 403


async def test_nodes_have_files_processes_and_names_of_their_own(cluster: Cluster) -> None:
    node, other = (cluster.node(name) for name in NODES)
    for folder in ("/etc", "/var", "/run", "/tmp", "/var/lib/kubelet"):
        file = Path(folder) / "akri-test-file"
        await node.run("sh", "-c", f"echo here >{file}")
        assert await node.run("cat", str(file)) == "here\n"
        assert not file.exists()
        with pytest.raises(CommandError, match="No such file"):
            await other.run("cat", str(file))
        await node.run("rm", str(file))
    assert await node.run("hostname") == "node-a\n"
    assert "kubelet" in await node.run("cat", "/proc/1/task/1/children", "/proc/self/mountinfo")
    with pytest.raises(CommandError, match="Read-only"):
        await node.run("touch", "/usr/akri-test-file")


async def test_containers_are_known_with_their_real_processes(cluster: Cluster) -> None:
    node = cluster.node("node-a")
    async with cluster.admin() as admin, pods_of(admin) as pods:
        made = await pods.run("node-a", script="exec sleep 4321")
        name = made["metadata"]["name"]
        found = [container for container in node.containers() if container.pod == name]
        assert sorted((container.name, container.sandbox) for container in found) == [("", True), ("main", False)]
        assert {container.pod_uid for container in found} == {made["metadata"]["uid"]}
        main = node.container("default", name)
        assert main.pid is not None
        assert command_of(main.pid) == ["sleep", "4321"]
        assert made["status"]["containerStatuses"][0]["containerID"] == f"containerd://{main.id}"
        assert [container for container in cluster.node("node-b").containers() if container.pod == name] == []

        end = asyncio.create_task(end_of(main.pid))
        await asyncio.sleep(0.1)
        assert not end.done()
        killed = time.time(), time.monotonic()
        os.kill(main.pid, signal.SIGKILL)
        for at, before in zip(await end, killed, strict=True):
            assert before <= at < before + 0.1
        await reached(admin, made, "Failed")
        with pytest.raises(LookupError, match=f"no container main of pod default/{name} lives on node-a"):
            node.container("default", name)
        assert await end_of(main.pid) >= killed


async def test_image_from_a_folder_is_run(cluster: Cluster, tmp_path: Path) -> None:
    contents = tmp_path / "contents"
    (contents / "etc").mkdir(parents=True)
    (contents / "etc" / "greeting").write_text("hello from the image", encoding="utf-8")
    (contents / "bin").mkdir()
    busybox = cluster.state / "images" / "busybox" / "bin" / "busybox"
    (contents / "bin" / "sh").write_bytes(busybox.read_bytes())
    (contents / "bin" / "sh").chmod(0o755)
    (contents / "bin" / "cat").symlink_to("sh")
    file = build_image(
        "localhost/greeting:1",
        contents,
        tmp_path / "image.tar",
        command=("/bin/sh", "-c", 'cat /etc/greeting; echo " to $WHOM"'),
        environment={"WHOM": "us"},
    )
    await cluster.node("node-b").import_image(file)
    manifest = pod("greeting", node="node-b", image="localhost/greeting:1")
    del manifest["spec"]["containers"][0]["command"]
    async with cluster.admin() as admin:
        try:
            assert await logs(admin, await run_pod(admin, manifest, phase="Succeeded")) == "hello from the image to us\n"
        finally:
            await end_pod(admin, manifest)
