"""What `akri up` prints: one line for each thing that happens, and what the brokers write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Pod
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from akri.scheduling.model import Phase

__all__ = ["News"]

_T = TypeVar("_T")


@define(eq=False)
class News:
    """Turns what a store shows into lines. tell: prints one line about the object that is named first."""

    store: MemoryStore
    tell: Callable[[str, str], None]
    _instances: dict[ObjectKey, Instance] = field(factory=dict[ObjectKey, Instance])
    _pods: dict[ObjectKey, Pod] = field(factory=dict[ObjectKey, Pod])
    _errors: dict[ObjectKey, tuple[str, ...]] = field(factory=dict[ObjectKey, tuple[str, ...]])

    async def instances(self) -> None:
        """Follow devices and the slots that are taken of them."""
        async for event in self.store.cluster().watch_instances():
            for instance in _present(event):
                self._instance(instance)
            if isinstance(event, Gone) and event.key in self._instances:
                del self._instances[event.key]
                self.tell(event.key.name, "device gone, Instance removed")

    async def pods(self) -> None:
        """Follow brokers and the pods of users."""
        async for event in self.store.watch_pods():
            for pod in _present(event):
                self._pod(pod)
            if isinstance(event, Gone) and event.key in self._pods:
                del self._pods[event.key]
                self.tell(event.key.name, "removed")

    async def reports(self) -> None:
        """Follow what discovery has to complain of."""
        async for event in self.store.cluster().watch_reports():
            for report in _present(event):
                self._report(report)

    async def events(self) -> None:
        """Follow warnings that anybody gives; those about pods stand behind their phase already."""
        async for event in self.store.follow_events():
            if event.warning and event.kind != "Pod":
                self.tell(event.about.name, f"{event.reason.value}: {event.message}")

    def _instance(self, instance: Instance) -> None:
        before = self._instances.get(instance.key)
        self._instances[instance.key] = instance
        if before is None:
            self.tell(instance.name, f"device found: {instance.device_id} ({_slots(instance.capacity)})")
            return
        for slot, text in sorted(instance.device_usage.items()):
            if before.device_usage.get(slot, "") != text:
                self.tell(instance.name, f"slot {slot} {f'held by {text}' if text else 'free'}")

    def _pod(self, pod: Pod) -> None:
        before = self._pods.get(pod.metadata.key)
        self._pods[pod.metadata.key] = pod
        if before is None or before.phase is not pod.phase:
            why = f" ({pod.reason}: {pod.message})" if pod.phase is Phase.FAILED else ""
            self.tell(pod.metadata.key.name, f"{pod.phase.value.lower()}{why}")

    def _report(self, report: DiscoveryReport) -> None:
        said = (*(handler.error for handler in report.handlers if handler.error), *report.problems)
        for line in said:
            if line not in self._errors.get(report.configuration, ()):
                self.tell(report.configuration.name, line)
        self._errors[report.configuration] = said


def _slots(capacity: int) -> str:
    return "1 slot" if capacity == 1 else f"{capacity} slots"


def _present(event: WatchEvent[_T]) -> tuple[_T, ...]:
    match event:
        case Reset(objects):
            return objects
        case Put(one):
            return (one,)
        case Gone() | Alive():
            return ()
