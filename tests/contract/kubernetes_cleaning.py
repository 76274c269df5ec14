"""Takes away what a test left on the contract suite's API server, whatever its state, in a few requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import chain

from akri.core.ids import NodeName
from tests.cluster.admin import Admin, Manifest, RequestError
from tests.contract.kubernetes_kubelet import node_path, set_ready

__all__ = ["clean"]

_COLLECTIONS = (
    "/apis/akri.sh/v0/configurations",
    "/apis/akri.sh/v0/instances",
    "/apis/akri.sh/v0/discoveryreports",
    "/api/v1/pods",
    "/apis/batch/v1/jobs",
    "/api/v1/services",
    "/api/v1/secrets",
    "/api/v1/configmaps",
)
_PATIENCE = 60.0
_PAUSE = 0.02
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_KEPT = frozenset({("default", "kubernetes")})


async def clean(admin: Admin, nodes: Sequence[NodeName]) -> dict[NodeName, Manifest]:
    """Remove everything that tests make, and have exactly these nodes, ready; returns their Nodes."""
    until = time.monotonic() + _PATIENCE
    # Once more as long as something was there: the garbage collector, or a user's deletion, was at it too.
    while any(left := await asyncio.gather(*(_clean_collection(admin, collection) for collection in _COLLECTIONS))):
        if time.monotonic() > until:
            metadata = [item["metadata"] for item in chain(*left)]
            raise TimeoutError(f"these do not go away: {metadata}")
        await asyncio.sleep(_PAUSE)
    stored = await asyncio.gather(*(_node(admin, name) for name in nodes))
    return dict(zip(nodes, stored, strict=True))


async def _clean_collection(admin: Admin, collection: str) -> list[Manifest]:
    """Remove what tests made; return what was there."""
    items = [item for item in await admin.list(collection) if _made_by_test(item)]
    await asyncio.gather(*(_remove(admin, collection, item) for item in items))
    return items


def _made_by_test(item: Manifest) -> bool:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    return namespace not in _SYSTEM and (namespace, name) not in _KEPT


async def _remove(admin: Admin, collection: str, item: Manifest) -> None:
    metadata = item["metadata"]
    root, _, plural = collection.rpartition("/")
    path = f"{root}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
    try:
        if metadata.get("finalizers"):
            await admin.patch(path, {"metadata": {"finalizers": None}})
        await admin.delete(path, grace=0, propagation="Background")
    except RequestError as error:
        if error.status not in {404, 409}:
            raise


async def _node(admin: Admin, name: NodeName) -> Manifest:
    node = await admin.ensure("Node", name)
    conditions = node.get("status", {}).get("conditions", [])
    if [(condition["type"], condition["status"]) for condition in conditions] != [("Ready", "True")]:
        await set_ready(admin, name, ready=True)
        node = await admin.get(node_path(name))
    return node
