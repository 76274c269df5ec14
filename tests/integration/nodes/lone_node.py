"""A node without an API server, run as a program of its own, so that a test can kill it at any moment: STATE PROGRAM.

Its kubelet runs one pod from a file, as kubelets do that have never heard of an API server.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.cluster.images import node_images
from tests.cluster.network import Network
from tests.cluster.node_pods import pod
from tests.cluster.nodes import Node

__all__ = ["NAME", "POD", "lone_node"]

NAME = "lone"
POD = "from-file"
_NOBODY = 9  # a port on which nothing listens


async def lone_node(state: Path, program: Path) -> Node:
    """Make the node and its network; it is not started."""
    network = Network(state)
    await network.create()
    login = state / "kubeconfig"
    cluster = {"server": f"https://{network.host}:{_NOBODY}", "insecure-skip-tls-verify": True}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": cluster}],
        "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
        "users": [{"name": "none", "user": {"token": "none"}}],
        "current-context": "none",
    }
    login.write_text(json.dumps(content), encoding="utf-8")
    node = Node(NAME, 1, state=state, network=network, kubeconfig=login, port=_NOBODY, program=program)
    manifests = node.folder / "etc" / "kubernetes" / "manifests"
    manifests.mkdir(parents=True, exist_ok=True)
    (manifests / "pod.json").write_text(json.dumps(pod(POD, restart="Always")), encoding="utf-8")
    return node


async def _main(state: Path, program: Path) -> None:
    node = await lone_node(state, program)
    await node.start(await asyncio.to_thread(node_images, state / "images"))
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), Path(sys.argv[2])))
