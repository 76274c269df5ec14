"""The pods that users have: they ask for devices of a Configuration, and whoever keeps them replaces those that failed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from attrs import define, field

from akri.core.errors import InvalidValueError
from akri.core.ids import NodeName, ObjectKey
from akri.platforms.local.store import LocalStore
from akri.scheduling.model import Phase
from tests.integration.chaos.world import LOCAL, NODES, SHARED, pod_spec

__all__ = ["Users"]

_PODS: Final[Mapping[str, Mapping[str, str]]] = {
    "one-shared": {f"akri.sh/{SHARED}": "1"},
    "one-local": {f"akri.sh/{LOCAL}": "1"},
    "other-local": {f"akri.sh/{LOCAL}": "1"},
    "two-local": {f"akri.sh/{LOCAL}": "2"},
}


@define(eq=False)
class Users:
    """Keeps the pods of users there, as a Deployment would."""

    store: LocalStore
    command: Sequence[str]
    wanted: dict[ObjectKey, tuple[NodeName, Mapping[str, str]]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Want a few pods on each node, at most three of them for every four free slots that it has."""
        self.wanted = {ObjectKey("default", f"{name}-{node}"): (NodeName(node), limits) for node in NODES for name, limits in _PODS.items()}

    async def keep(self) -> None:
        """Create what is missing, and remove what failed."""
        for key, (node, limits) in self.wanted.items():
            pod = self.store.pod(key)
            if pod is None:
                with suppress(InvalidValueError):
                    await self.store.create_pod(key, pod_spec(self.command, limits), node=node)
            elif pod.phase is Phase.FAILED and not pod.metadata.deleting:
                await self.store.delete_pod(key)

    async def churn(self, chance: random.Random) -> None:
        """Delete a pod; it comes back as a new one."""
        await self.store.delete_pod(chance.choice(sorted(self.wanted)))
