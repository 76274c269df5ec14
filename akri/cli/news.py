"""What `akri up` prints: one line for each thing that happens, and what the brokers write.

What is there at a start is known from before and not told again; only how much of it there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from akri.core.ids import NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.reports import DiscoveryReport
from akri.platforms.local.objects import Pod
from akri.platforms.local.store import LocalStore
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from akri.scheduling.model import Phase

__all__ = ["News"]

_T = TypeVar("_T")


@define(eq=False)
class News:
    """Turns what a store shows into lines. tell: prints one line about the object that is named first.

    node: tell of this one's pods and reports alone. since: events before this time are known, seconds since the epoch.
    """

    store: LocalStore
    tell: Callable[[str, str], None]
    node: NodeName | None = None
    since: float = 0.0
    _instances: dict[ObjectKey, Instance] = field(factory=dict[ObjectKey, Instance])
    _pods: dict[ObjectKey, Pod] = field(factory=dict[ObjectKey, Pod])
    _errors: dict[ObjectKey, tuple[str, ...]] = field(factory=dict[ObjectKey, tuple[str, ...]])

    async def instances(self) -> None:
        """Follow devices and the slots that are taken of them."""
        begun = False
        async for event in self.store.cluster().watch_instances():
            present = _present(event)
            if not begun:
                self._instances = {instance.key: instance for instance in present}
                begun = True
            for instance in present:
                self._instance(instance)
            for key in self._instances.keys() - {one.key for one in present} if isinstance(event, Reset) else _gone(event):
                if self._instances.pop(key, None) is not None:
                    self.tell(key.name, "device gone, Instance removed")

    async def pods(self) -> None:
        """Follow brokers and the pods of users."""
        begun = False
        async for event in self.store.watch_pods(self.node):
            present = _present(event)
            if not begun:
                self._pods = {pod.metadata.key: pod for pod in present}
                begun = True
            for pod in present:
                self._pod(pod)
            for key in self._pods.keys() - {one.metadata.key for one in present} if isinstance(event, Reset) else _gone(event):
                if self._pods.pop(key, None) is not None:
                    self.tell(key.name, "removed")

    async def reports(self) -> None:
        """Follow what discovery has to complain of."""
        async for event in self.store.cluster().watch_reports():
            for report in _present(event):
                if self.node in {None, report.node}:
                    self._report(report)

    async def events(self) -> None:
        """Follow warnings that anybody gives; those about pods stand behind their phase already."""
        async for past in self.store.follow_past_events():
            event = past.event
            if event.warning and event.kind != "Pod" and past.at >= self.since:
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


def _gone(event: WatchEvent[_T]) -> tuple[ObjectKey, ...]:
    return (event.key,) if isinstance(event, Gone) else ()
