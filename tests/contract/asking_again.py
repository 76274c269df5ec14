"""Platforms whose user asks again until the outcome is known, as agents and the controller do behind a bad network.

What a lost answer left behind is read back, as sharing.md has it; only then is it decided whether to write again. No write here
arrives after its answer was lost (the tests of late writes order that themselves), so reading is enough, without a fence.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from attrs import evolve

from akri.core.errors import OutcomeUnknownError
from akri.core.evidence import PodObservation
from akri.core.ids import NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Event
from akri.core.usage import Usage, print_usage
from akri.platforms import writes
from akri.ports import ClusterPlatform, ConfigurationObservation, Done, NodePlatform, Outcome, Refused, Unknown, WatchEvent
from akri.scheduling.model import (
    Action,
    BrokerJob,
    BrokerPod,
    BrokerService,
    NodeState,
    RemoveNode,
    RepairUsage,
    WriteCapacity,
)

__all__ = ["AskingCluster", "AskingNode"]

_T = TypeVar("_T")


async def _read(ask: Callable[[], Awaitable[_T]]) -> _T:
    while True:
        try:
            return await ask()
        except OutcomeUnknownError:
            continue


async def _known(ask: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """For writes that may be repeated."""
    while True:
        outcome = await ask()
        if not isinstance(outcome, Unknown):
            return outcome


class AskingNode:
    """The agent's side."""

    def __init__(self, platform: NodePlatform, me: NodeName) -> None:
        self._platform = platform
        self._me = me

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        return self._platform.watch_configurations()

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        return self._platform.watch_instances()

    def watch_pods(self) -> AsyncIterator[WatchEvent[PodObservation]]:
        return self._platform.watch_pods()

    async def read_instance(self, key: ObjectKey) -> Instance | None:
        return await _read(lambda: self._platform.read_instance(key))

    async def create(self, instance: Instance) -> Outcome:
        return await self._write(instance.key, lambda: self._platform.create(instance), lambda present: _same(present, instance))

    async def join(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        return await _known(lambda: self._platform.join(key, uid, node))

    async def leave(self, key: ObjectKey, uid: str, node: NodeName) -> Outcome:
        return await _known(lambda: self._platform.leave(key, uid, node))

    async def update(self, instance: Instance) -> Outcome:
        def written(present: Instance) -> bool:
            carried = evolve(instance, metadata=evolve(instance.metadata, revision=present.metadata.revision))
            return writes.update(present, carried, self._me) == writes.Write(present)

        return await self._write(instance.key, lambda: self._platform.update(instance), written)

    async def claim(self, key: ObjectKey, slot: SlotId, usage: Usage) -> Outcome:
        text = print_usage(usage)
        return await self._write(
            key, lambda: self._platform.claim(key, slot, usage), lambda present: present.device_usage.get(str(slot)) == text
        )

    async def release(self, instance: Instance, slot: SlotId, usage: Usage) -> Outcome:
        def freed(present: Instance) -> bool:
            return present.metadata.uid == instance.metadata.uid and not present.device_usage.get(str(slot))

        return await self._write(instance.key, lambda: self._platform.release(instance, slot, usage), freed)

    async def fence(self, key: ObjectKey) -> Outcome:
        return await _known(lambda: self._platform.fence(key))

    async def fetch_secret(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        return await _read(lambda: self._platform.fetch_secret(key))

    async def fetch_config_map(self, key: ObjectKey) -> Mapping[str, bytes] | None:
        return await _read(lambda: self._platform.fetch_config_map(key))

    async def watch_secret(self, key: ObjectKey) -> AsyncGenerator[Mapping[str, bytes] | None]:
        async for data in _followed(lambda: self._platform.watch_secret(key)):
            yield data

    async def watch_config_map(self, key: ObjectKey) -> AsyncGenerator[Mapping[str, bytes] | None]:
        async for data in _followed(lambda: self._platform.watch_config_map(key)):
            yield data

    async def publish_report(self, report: DiscoveryReport) -> None:
        await _read(lambda: self._platform.publish_report(report))

    async def emit(self, event: Event) -> None:
        await self._platform.emit(event)

    async def _write(self, key: ObjectKey, ask: Callable[[], Awaitable[Outcome]], written: Callable[[Instance], bool]) -> Outcome:
        """Write; an answer that was lost is found by its effect, unless that was there before."""
        before = await self.read_instance(key)
        was_there = before is not None and written(before)
        while True:
            outcome = await ask()
            if not isinstance(outcome, Unknown):
                return outcome
            present = await self.read_instance(key)
            if not was_there and present is not None and written(present):
                return Done(present)


def _same(present: Instance, wanted: Instance) -> bool:
    """Whether somebody created just what was wanted."""
    return evolve(present, metadata=wanted.metadata) == wanted


async def _followed(follow: Callable[[], AsyncIterator[_T]]) -> AsyncGenerator[_T]:
    while True:
        try:
            async for state in follow():
                yield state
        except OutcomeUnknownError:
            continue


class AskingCluster:
    """The controller's side."""

    def __init__(self, platform: ClusterPlatform) -> None:
        self._platform = platform

    def watch_configurations(self) -> AsyncIterator[WatchEvent[ConfigurationObservation]]:
        return self._platform.watch_configurations()

    def watch_instances(self) -> AsyncIterator[WatchEvent[Instance]]:
        return self._platform.watch_instances()

    def watch_broker_pods(self) -> AsyncIterator[WatchEvent[BrokerPod]]:
        return self._platform.watch_broker_pods()

    def watch_broker_jobs(self) -> AsyncIterator[WatchEvent[BrokerJob]]:
        return self._platform.watch_broker_jobs()

    def watch_broker_services(self) -> AsyncIterator[WatchEvent[BrokerService]]:
        return self._platform.watch_broker_services()

    def watch_nodes(self) -> AsyncIterator[WatchEvent[NodeState]]:
        return self._platform.watch_nodes()

    def watch_reports(self) -> AsyncIterator[WatchEvent[DiscoveryReport]]:
        return self._platform.watch_reports()

    async def execute(self, action: Action) -> Outcome:
        lost = False
        while True:
            outcome = await self._platform.execute(action)
            if isinstance(outcome, Unknown):
                lost = True
                continue
            # The state read after a refusal shows whether it was the write's own effect that refused its repetition.
            if lost and isinstance(outcome, Refused) and outcome.instance is not None and _carried_out(action, outcome.instance):
                return Done(outcome.instance)
            return outcome

    async def set_status(self, key: ObjectKey, uid: str, status: ConfigurationStatus) -> None:
        await _read(lambda: self._platform.set_status(key, uid, status))

    async def delete_report(self, report: DiscoveryReport) -> None:
        await _read(lambda: self._platform.delete_report(report))

    async def emit(self, event: Event) -> None:
        await self._platform.emit(event)


def _carried_out(action: Action, present: Instance) -> bool:
    match action:
        case RemoveNode():
            return writes.remove_node(present, present, action.node) == writes.Write(present)
        case RepairUsage():
            return writes.repair_usage(present, present, action.keys) == writes.Write(present)
        case WriteCapacity():
            return writes.write_capacity(present, present, action.capacity, action.generation) == writes.Write(present)
        case _:
            return False
