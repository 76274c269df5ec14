"""The local platform as people see it through the commands: everything to look at, Configurations to write, logs to read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport, PastEvent
from akri.platforms.local.objects import Pod
from akri.platforms.local.sqlite.store import SqliteStore
from akri.platforms.local.store import LocalStore
from akri.platforms.local.user_logs import follow_log, log_path, read_former_log
from akri.platforms.pod_requests import device_requests
from akri.ports import Clock, ConfigurationObservation, PodDetails, UserPlatform, WatchEvent
from akri.scheduling.model import BrokerJob, BrokerPod, BrokerService, NodeState

__all__ = ["LocalUser", "opened_user"]

_RESOURCES: Final = "akri.sh/"


@asynccontextmanager
async def opened_user(folder: Path, clock: Clock) -> AsyncGenerator[UserPlatform]:
    """Open the state folder of `akri up`. Raises StateError where it holds no store, or none that can be used."""
    async with SqliteStore(folder, clock, must_exist=True) as store:
        yield LocalUser(store, folder)


class LocalUser:
    """The UserPlatform port over a store. folder: the state folder, where brokers' logs are; None where there is none."""

    def __init__(self, store: LocalStore, folder: Path | None = None) -> None:
        """Look at this store."""
        self._store = store
        self._cluster = store.cluster()
        self._folder = folder

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        """Watch all Configurations."""
        return self._cluster.watch_configurations()

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        """Watch all Instances."""
        return self._cluster.watch_instances()

    def watch_broker_pods(self) -> AsyncIterator[WatchEvent[BrokerPod]]:
        """Watch the pods that Akri made."""
        return self._cluster.watch_broker_pods()

    def watch_broker_jobs(self) -> AsyncIterator[WatchEvent[BrokerJob]]:
        """Watch the jobs that Akri made."""
        return self._cluster.watch_broker_jobs()

    def watch_broker_services(self) -> AsyncIterator[WatchEvent[BrokerService]]:
        """Watch the services that Akri made."""
        return self._cluster.watch_broker_services()

    def watch_nodes(self) -> AsyncIterator[WatchEvent[NodeState]]:
        """Watch the nodes."""
        return self._cluster.watch_nodes()

    def watch_reports(self) -> AsyncIterator[WatchEvent[DiscoveryReport]]:
        """Watch the reports of all nodes."""
        return self._cluster.watch_reports()

    async def read_statuses(self) -> Mapping[str, ConfigurationStatus]:
        """Read the status of each Configuration that has one, by uid."""
        found = {one.metadata.uid: self._store.status(one.key) for one in self._store.configurations}
        return {uid: status for uid, status in found.items() if status is not None}

    async def read_events(self) -> tuple[PastEvent, ...]:
        """Read the events that are kept, oldest first."""
        return self._store.past_events

    def follow_events(self) -> AsyncIterator[PastEvent]:
        """Give the events that are kept, then each new one."""
        return self._store.follow_past_events()

    async def read_pod(self, key: ObjectKey) -> PodDetails | None:
        """Read a pod, whoever made it."""
        pod = self._store.pod(key)
        return None if pod is None else self._details(pod)

    async def read_pods(self) -> tuple[PodDetails, ...]:
        """Read the pods that ask for a device or serve one, in the order of their names."""
        pods = (pod for pod in self._store.pods if pod.instance is not None or _asks_for_devices(pod))
        return tuple(self._details(pod) for pod in sorted(pods, key=lambda pod: pod.metadata.key))

    async def read_job_pods(self, job: ObjectKey) -> tuple[PodDetails, ...]:
        """Read the pods of a job, oldest first."""
        uids = {one.metadata.uid for one in self._store.jobs if one.metadata.key == job}
        pods = [pod for pod in self._store.pods if any(owner.uid in uids for owner in pod.metadata.owners)]
        return tuple(self._details(pod) for pod in sorted(pods, key=lambda pod: (pod.metadata.created, pod.metadata.revision)))

    async def read_log(
        self, pod: ObjectKey, container: str, *, previous: bool = False, tail: int | None = None, follow: bool = False
    ) -> AsyncIterator[str]:
        """Give the lines that a container wrote."""
        if self._folder is None:
            return
        path = log_path(self._folder / "logs", pod, container)
        stored = self._store.pod(pod)
        created = 0.0 if stored is None else stored.metadata.created
        if previous:
            lines = read_former_log(path, created, tail)
        else:
            uid = "" if stored is None else stored.metadata.uid
            lines = follow_log(path, created, tail, partial(self._lives, pod, uid) if follow else None)
        async for line in lines:
            yield line

    async def apply(self, configuration: ConfigurationObservation) -> ConfigurationObservation:
        """Store a Configuration in place of one of its name."""
        return await self._store.apply(configuration)

    async def delete(self, key: ObjectKey) -> bool:
        """Delete a Configuration with all that belongs to it."""
        return await self._store.delete(key)

    def _details(self, pod: Pod) -> PodDetails:
        # Most commands ask for no pod, and need not load what knows about processes.
        from akri.platforms.local.user_containers import container_states  # noqa: PLC0415

        states = container_states(pod, None if self._folder is None else self._folder / "brokers")
        about = (pod.node, pod.phase, pod.reason, pod.message, pod.started, pod.finished)
        return PodDetails(pod.metadata, pod.spec, *about, states)

    def _lives(self, key: ObjectKey, uid: str) -> bool:
        pod = self._store.pod(key)
        return pod is not None and pod.metadata.uid == uid and not pod.phase.terminal


def _asks_for_devices(pod: Pod) -> bool:
    return any(resource.startswith(_RESOURCES) for resource in device_requests(pod.spec))
