"""A program that runs one node's pods over a state folder, to be killed at any moment: `python node_program.py STATE NODE`.

Its waits are sixty times as short as real ones, so that containers start again while a test looks on.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.ids import NodeName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.node_runner import NodeRunner, PodToAdmit
from akri.platforms.local.sqlite.store import SqliteStore


class HastyClock(SystemClock):
    """Waits for a sixtieth of what it is asked to."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await super().sleep(seconds / 60)


async def admit(pod: PodToAdmit) -> Mapping[str, ContainerEdits]:
    """Give each container something to recognise."""
    return {container.name: ContainerEdits({"ADMITTED": pod.uid}) for container in pod.containers}


async def main(state: Path, node: NodeName) -> None:
    """Run until killed."""
    clock = HastyClock()
    async with SqliteStore(state, clock) as store:
        await store.register_node(node)
        await NodeRunner(store, node, clock=clock, folder=StateFolder.at(state).brokers, admit=admit).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), NodeName(sys.argv[2])))
