"""A process that claims and releases slots at random, and writes down what the store acknowledged.

Arguments: state folder, name of its node, seed, number of tries (0: until it is killed), file for the history. Before each
question that file gets a line `? SLOT`, after the answer a revision, `claimed`, `released` or `refused`, and the slot.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from akri.clock import SystemClock
from akri.core.ids import InstanceName, NodeName, SlotId
from akri.core.instance import Instance
from akri.core.usage import HeldByNode, print_usage
from akri.platforms.local.sqlite.store import SqliteStore
from akri.ports import Done, NodePlatform, Unknown

__all__: list[str] = []


class _Racer:
    def __init__(self, port: NodePlatform, node: NodeName, history: int) -> None:
        self._port = port
        self._usage = HeldByNode(node)
        self._history = history

    async def run(self, store: SqliteStore, chance: random.Random, tries: int) -> None:
        asked = 0
        while not tries or asked < tries:
            instance = chance.choice(store.instances)
            slot = SlotId(InstanceName(instance.name), chance.randrange(instance.capacity))
            asked += 1
            self._write(f"? {slot}")
            outcome = await self._port.claim(instance.key, slot, self._usage)
            if isinstance(outcome, Unknown):
                raise SystemExit(outcome.cause)
            if isinstance(outcome, Done) and outcome.instance is not None:
                self._note(outcome.instance, "claimed", slot)
                await self.release(outcome.instance, slot)
            else:
                self._write(f"0 refused {slot}")

    async def release(self, instance: Instance, slot: SlotId) -> None:
        present: Instance | None = instance
        while present is not None:
            self._write(f"? {slot}")
            outcome = await self._port.release(present, slot, self._usage)
            if isinstance(outcome, Done) and outcome.instance is not None:
                self._note(outcome.instance, "released", slot)
                return
            present = await self._port.read_instance(instance.key)
        message = f"{instance.key} is gone"
        raise SystemExit(message)

    async def release_what_is_left(self, store: SqliteStore) -> None:
        """Give back what an earlier life of this node held."""
        held = print_usage(self._usage)
        for instance in store.instances:
            for text, usage in instance.device_usage.items():
                if usage == held:
                    await self.release(instance, SlotId.parse(text))

    def _note(self, instance: Instance, what: str, slot: SlotId) -> None:
        self._write(f"{instance.metadata.revision} {what} {slot}")

    def _write(self, line: str) -> None:
        os.write(self._history, f"{line}\n".encode())


async def _main(folder: Path, node: NodeName, seed: int, tries: int, history: Path) -> None:
    descriptor = os.open(history, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    async with SqliteStore(folder, SystemClock()) as store:
        racer = _Racer(store.node(node), node, descriptor)
        await racer.release_what_is_left(store)
        await racer.run(store, random.Random(seed), tries)
    os.close(descriptor)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), NodeName(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])))
