"""Runs the pods of one node as processes: what scheduler and kubelet are on a cluster, in their simplest form.

The processes outlive this program. What a former program left running on the node is adopted; what became of it meanwhile is
read from the records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import Final

from attrs import evolve

from akri.core.errors import AkriError
from akri.core.ids import NodeName, ResourceName
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.locks import holder
from akri.platforms.local.logs import prune_logs
from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_records import has_record, read_record, records
from akri.platforms.local.pod_report import insist
from akri.platforms.local.pod_run import Admit, Output, PodRun, PodToAdmit, Surroundings, no_output
from akri.platforms.local.pod_spec import containers
from akri.platforms.local.store import LocalStore
from akri.platforms.local.user_logs import log_path
from akri.platforms.pod_requests import device_requests
from akri.ports import Alive, Clock, Gone, Put, Reset
from akri.scheduling.model import Phase

__all__ = ["NodeRunner", "PodToAdmit", "fitting"]


_CLEAR_UP_EVERY: Final = 2.0
_PRUNE_EVERY: Final = 50
"""Ends of pods between two looks at the logs that are left."""


def _ignore_end(_pod: PodToAdmit) -> None:
    """Nobody has to know."""


class NodeRunner:
    """The pods of one node.

    admit: gives a pod its devices, or rejects it with an AkriError. ended: called once for each pod that was admitted, by
    this program or a former one, when it is terminal or was deleted by force. allocatable: how many devices of each resource
    the node has in all; a pod stays Pending until its requests fit beside those of the others. None: everything fits.
    output: gets each line that a container writes. folder: the state's `brokers`, where each pod has its record; several nodes
    of one machine may share it. log_directory: where the output of containers goes, two bounded files for each; `logs` beside
    the folder if not said.
    """

    def __init__(
        self,
        store: LocalStore,
        node: NodeName,
        *,
        clock: Clock,
        folder: Path,
        admit: Admit,
        ended: Callable[[PodToAdmit], None] = _ignore_end,
        allocatable: Callable[[], Mapping[ResourceName, int]] | None = None,
        output: Output = no_output,
        log_directory: Path | None = None,
    ) -> None:
        """Nothing happens before `run`."""
        self._store = store
        self._node = node
        # Absolute and without links: the processes carry this path as a mark by which all of them are found.
        folder = folder.resolve()
        self._around: Final = Surroundings(store, clock, admit, ended, folder, log_directory or folder.with_name("logs"), output)
        self._allocatable = allocatable
        self._pods: dict[str, Pod] = {}
        self._runs: dict[str, PodRun] = {}
        self._group: asyncio.TaskGroup | None = None
        self._ends = 0

    def adopted(self) -> tuple[PodToAdmit, ...]:
        """List the pods that a former program admitted on this node and whose end was not told yet; their devices are in use."""
        return tuple(PodToAdmit.of(record.pod) for _, record in records(self._around.folder) if record.pod.node == self._node)

    async def run(self) -> None:
        """Run the node's pods until cancelled. Their processes go on then: see `stop_all`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._clear_up())
            async for event in self._store.watch_pods(self._node):
                match event:
                    case Reset(pods):
                        self._reset(pods)
                    case Put(pod):
                        self._see(pod)
                    case Gone(uid=uid):
                        self._lose(uid)
                    case Alive():
                        pass
                self.reconsider()

    def reconsider(self) -> None:
        """Start the pods that fit now. Call it when `allocatable` changed; changes of pods are noticed without."""
        if self._group is None:
            return
        waiting = [pod for pod in self._pods.values() if not pod.bound]
        if not waiting:
            return
        bound = [pod for pod in self._pods.values() if pod.bound and not pod.phase.terminal]
        chosen = waiting if self._allocatable is None else fitting(waiting, bound, self._allocatable())
        for pod in chosen:
            self._pods[pod.metadata.uid] = evolve(pod, bound=True)
            self._start(pod)

    def _reset(self, pods: Iterable[Pod]) -> None:
        present = {pod.metadata.uid: pod for pod in pods}
        for uid in [uid for uid in self._pods if uid not in present]:
            self._lose(uid)
        for pod in present.values():
            self._see(pod)
        for _, record in records(self._around.folder):
            pod = record.pod
            if pod.node == self._node and pod.metadata.uid not in present and pod.metadata.uid not in self._runs:
                self._start(pod, forgotten=True)

    async def _clear_up(self) -> None:
        """End what runs for nodes that nobody runs any more, once the store has forgotten it: their slots are others' by then."""
        while True:
            await self._around.clock.sleep(_CLEAR_UP_EVERY)
            known = {pod.metadata.uid for pod in self._store.pods} | self._runs.keys()
            for pod in await asyncio.to_thread(_forgotten, self._around.folder, known):
                if pod.node != self._node and not self._is_run(pod.node):
                    self._start(pod, forgotten=True)

    def _is_run(self, node: NodeName) -> bool:
        """Whether some program runs a node; where that cannot be known, it counts as run."""
        try:
            return holder(StateFolder.at(self._around.folder.parent).node(node).lock) is not None
        except (AkriError, OSError):
            return True

    def _see(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        former = self._pods.get(uid)
        self._pods[uid] = pod if former is None else evolve(pod, bound=former.bound or pod.bound)
        run = self._runs.get(uid)
        if run is not None:
            if pod.metadata.deleting:
                run.stop(pod.grace)
        elif pod.bound and (pod.metadata.deleting or not pod.phase.terminal or has_record(self._around.folder / uid)):
            self._start(pod)

    def _lose(self, uid: str) -> None:
        self._pods.pop(uid, None)
        run = self._runs.get(uid)
        if run is not None:
            run.force()

    def _start(self, pod: Pod, *, forgotten: bool = False) -> None:
        if self._group is not None:
            run = self._runs[pod.metadata.uid] = PodRun(pod, self._around)
            self._group.create_task(self._live(pod, run, forgotten=forgotten))

    async def _live(self, pod: Pod, run: PodRun, *, forgotten: bool) -> None:
        try:
            if forgotten:
                await run.end_forgotten()
            elif pod.phase.terminal:
                await run.end_finished()
            elif run.recorded:
                if pod.metadata.deleting:
                    run.stop(pod.grace)
                await run.run()
            elif pod.metadata.deleting or pod.phase is not Phase.PENDING:
                await self._bury(pod, run)
            elif await insist(self._around.clock, lambda: self._store.change_pod(pod, partial(evolve, bound=True))) is not None:
                await run.run()
        finally:
            del self._runs[pod.metadata.uid]
            self._ends += 1
            if self._ends % _PRUNE_EVERY == 1:
                self._prune()

    def _prune(self) -> None:
        """Remove logs that nobody has looked at for long; those of all pods that are there stay, also of other nodes' pods."""
        logs = self._around.logs
        spared = {log_path(logs, pod.metadata.key, one.name) for pod in self._store.pods for one in containers(pod.spec)}
        prune_logs(logs, spared)

    async def _bury(self, pod: Pod, run: PodRun) -> None:
        """End a pod that was running by all accounts, but of which there is no record."""
        await run.forget()
        if not pod.phase.terminal:
            message = "the record of its processes is lost, and they were ended"
            now = self._around.clock.wall()
            over = partial(evolve, phase=Phase.FAILED, reason="RecordLost", message=message, finished=now)
            await insist(self._around.clock, lambda: self._store.change_pod(pod, over))
        if pod.metadata.deleting:
            await insist(self._around.clock, lambda: self._store.remove_pod(pod))


def _forgotten(folder: Path, known: AbstractSet[str]) -> tuple[Pod, ...]:
    """Read the pods that have a record and that nobody knows; there are hardly ever any."""
    places = [place for place in folder.iterdir() if place.name not in known] if folder.is_dir() else []
    found = (read_record(place) for place in places)
    return tuple(record.pod for record in found if record is not None)


def fitting(waiting: Iterable[Pod], bound: Iterable[Pod], allocatable: Mapping[ResourceName, int]) -> tuple[Pod, ...]:
    """Choose the waiting pods that fit beside the bound ones, the oldest first; a later one may overtake one that does not fit."""
    free = dict(allocatable)
    for pod in bound:
        _take(free, device_requests(pod.spec))
    chosen: list[Pod] = []
    for pod in sorted(waiting, key=lambda pod: (pod.metadata.created, pod.metadata.revision)):
        asked = device_requests(pod.spec)
        if all(free.get(resource, 0) >= count for resource, count in asked.items()):
            _take(free, asked)
            chosen.append(pod)
    return tuple(chosen)


def _take(free: dict[ResourceName, int], asked: Mapping[ResourceName, int]) -> None:
    for resource, count in asked.items():
        free[resource] = free.get(resource, 0) - count
