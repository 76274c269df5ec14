"""Which Instances one node creates, joins, updates and leaves: a pure decision that every node takes for itself.

The rules are those of sharing.md, "Appear, join, leave". There is no referee: each node looks at the same Instances and at what
it sees itself, and repeated decisions converge to one Instance for each device, whoever was first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from akri.core.configuration import Configuration
from akri.core.device import Device, Local, Scope, Shared
from akri.core.errors import Problem, short
from akri.core.ids import DeviceId, InstanceName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.inventory_commands import (
    NOTHING,
    Command,
    Countdown,
    Create,
    Join,
    Leave,
    Moved,
    Reconciliation,
    Serving,
    Settled,
    Standing,
    Update,
    Waiting,
)
from akri.core.inventory_instances import holds_slots, instance_update, new_instance
from akri.core.naming import DIGEST_SIZE, MAXIMUM_LABEL, digest, instance_name
from akri.core.presence import UNSEEN, Missing, Presence, View

__all__ = ["reconcile"]

_Identity: TypeAlias = tuple[str, str | None]  # a device as Instances name it: its id, and its node unless it is shared
_Known: TypeAlias = tuple[DeviceId, Device, Instance]
_Inputs: TypeAlias = Mapping[InstanceName, _Known]
_NO_INPUTS: Final[_Inputs] = MappingProxyType({})
_ORDER: Final = (Update, Join, Create, Leave)
_NO_NODE: Final = "no node is in it; the controller deletes it"
_DELETING: Final = "it is being deleted"


def reconcile(  # noqa: PLR0917 - in the order in which one says it: what, who, seen, published, when, after what
    configuration: Configuration,
    node: NodeName,
    presence: Presence,
    published: Iterable[Instance],
    now: float,
    before: Reconciliation = NOTHING,
) -> Reconciliation:
    """Decide what `node` does about the Instances of one Configuration.

    published: every observed Instance of the Configuration's namespace, those of other Configurations too, for their names
    are taken; other namespaces are ignored. before: the last answer, to notice devices that moved and to pass over what did
    not change; nothing but `moved` depends on it. The order of `published` and of the handlers' answers does not matter.
    """
    draft = _Draft(configuration, node, presence.view(now, configuration.grace), now, before)
    draft.index(published)
    newcomers = draft.keep_present()
    draft.keep_missing()
    draft.place(newcomers)
    draft.leave_others()
    return draft.finished()


class _Draft:
    # A Reconciliation while it is worked out; it lives and dies inside one call of `reconcile`.
    def __init__(self, configuration: Configuration, node: NodeName, view: View, now: float, before: Reconciliation) -> None:
        self.configuration = configuration
        self.node = node
        self.view = view
        self.now = now
        self.before = before
        self.namespace: list[Instance] = []
        self.by_device: dict[_Identity, list[Instance]] = {}
        self.unmarked: dict[InstanceName, Instance] = {}
        self.placed: set[InstanceName] = set()
        self.commands: list[Command] = []
        self.waiting: list[Waiting] = []
        self.serving: dict[InstanceName, Serving] = {}
        self.countdowns: list[Countdown] = []
        self.dues: list[float] = []
        self.problems: list[Problem] = []
        self.settled: dict[InstanceName, _Known] = {}
        self.unchanged: dict[DeviceId, _Known] = {}

    def index(self, published: Iterable[Instance]) -> None:
        """Take what is published in the namespace and sort what is this Configuration's by device."""
        namespace, uid = self.configuration.key.namespace, self.configuration.metadata.uid
        name, settled = self.configuration.name, self._settled_before()
        for instance in published:
            key = instance.metadata.key
            if key.namespace != namespace:
                continue
            self.namespace.append(instance)
            known = settled.get(InstanceName(key.name))
            if known is not None and known[2] is instance:
                self.unchanged[known[0]] = known
            elif instance.configuration == name and instance.owner_uid == uid:
                self._index(instance)

    def _index(self, instance: Instance) -> None:
        device_id = instance.device_id
        if device_id is None:
            self.unmarked[instance.name] = instance
        else:
            identity = (device_id, None if instance.shared else instance.device_node)
            self.by_device.setdefault(identity, []).append(instance)

    def keep_present(self) -> list[Device]:
        """Serve, update and join what is seen and has an Instance; return what has none."""
        node = None if self.view.shared else self.node
        for id_ in self.unchanged.keys() - self.view.present.keys():
            self._index(self.unchanged[id_][2])
        newcomers: list[Device] = []
        for id_, device in self.view.present.items():
            known = self.unchanged.get(id_)
            if known is not None and known[1] is device and (id_, node) not in self.by_device:
                name = known[2].name
                self.settled[name] = known
                self.serving[name] = self.before.serving[name]
                continue
            if known is not None:
                self._index(known[2])
            group = self.by_device.pop((id_, node), None)
            if group is None:
                newcomers.append(device)
            else:
                self._keep(group, device, None)
        return newcomers

    def keep_missing(self) -> None:
        """Keep the Instances of devices whose grace runs."""
        for id_, missing in sorted(self.view.missing.items()):
            group = self.by_device.pop((id_, None if missing.shared else self.node), [])
            if group:
                self._keep(group, missing.device, missing)
            due = missing.since + self.configuration.grace
            self._count_down(id_, min(group, key=_age).name if group else None, due, missing.misses, missing.reason)

    def place(self, newcomers: Sequence[Device]) -> None:
        """Find names for devices without an Instance, in the order of their ids, so that the outcome is the same each time."""
        if newcomers:
            scope = Shared() if self.view.shared else Local(self.node)
            by_name = {instance.name: instance for instance in self.namespace}
            for device in sorted(newcomers, key=lambda device: device.id):
                self._place(device, scope, by_name)

    def _place(self, device: Device, scope: Scope, by_name: Mapping[InstanceName, Instance]) -> None:
        # The shortest digest that is not another device's (E10).
        for name, device_digest in self._names(device, scope):
            holder = by_name.get(name)
            if name in self.placed:
                continue
            if holder is None:
                self.placed.add(name)
                self.commands.append(Create(new_instance(self.configuration, self.node, device, scope, device_digest)))
                return
            if holder.owner_uid not in {None, self.configuration.metadata.uid}:
                self._wait(holder.key, "it belongs to a deleted Configuration of this name; garbage collection removes it")
                return
            if holder.owner_uid is None:
                self.problems.append(Problem(f"Instance {holder.key}", "has no owner, so it is not used, and its name is taken"))
            if name in self.unmarked and holder.shared == self.view.shared:
                self._adopt(self.unmarked.pop(name), device)
                return
        self.problems.append(Problem(f"device {short(device.id)}", "no name is left for its Instance: all its digests are taken"))

    def leave_others(self) -> None:
        """Leave Instances whose device this node does not see, and keep those that it may still come to see."""
        rest = (*self.by_device.values(), self.unmarked.values())
        others = [instance for group in rest for instance in group if self.node in instance.nodes or holds_slots(instance, self.node)]
        for instance in sorted(others, key=lambda instance: instance.name):
            if self.node not in instance.nodes:
                self._retire(instance, "this node left the Instance")
                continue
            reason = self._verdict(instance)
            if reason is None:
                self.serving[instance.name] = Serving(None, Standing.UNSEEN, UNSEEN)
                self._count_down(_device_id(instance), instance.name, self.view.kept_until, 0, UNSEEN)
            else:
                self._leave(instance, reason)

    def finished(self) -> Reconciliation:
        """Put everything into its fixed order."""
        return Reconciliation(
            commands=tuple(sorted(self.commands, key=_command_order)),
            waiting=tuple(sorted(self.waiting, key=lambda waiting: waiting.key.name)),
            serving=MappingProxyType(self.serving),
            moved=tuple(sorted(self._moved(), key=lambda moved: moved.instance)),
            countdowns=tuple(self.countdowns),
            problems=(*self.view.problems, *self.problems),
            next_due=min(self.dues, default=None),
            settled=Settled(self.configuration, self.node, self.view.shared, self.settled),
        )

    def _settled_before(self) -> _Inputs:
        settled = self.before.settled
        if settled is None or settled.configuration is not self.configuration:
            return _NO_INPUTS
        if (settled.node, settled.shared) != (self.node, self.view.shared):
            return _NO_INPUTS
        return settled.inputs

    def _names(self, device: Device, scope: Scope) -> Iterator[tuple[InstanceName, str]]:
        # Two characters for each byte of the digest, and a dash before it.
        longest = (MAXIMUM_LABEL - len(self.configuration.name) - 1) // 2
        for size in range(DIGEST_SIZE, longest + 1):
            device_digest = digest(device.id, scope, size)
            yield instance_name(self.configuration.name, device_digest), device_digest

    def _keep(self, group: Sequence[Instance], device: Device, missing: Missing | None) -> None:
        # Of several Instances of one device the oldest stays (step 3).
        keeper, *extras = sorted(group, key=_age)
        if keeper.metadata.deleting:
            self._wait(keeper.key, _DELETING)
            self._retire(keeper, _DELETING)
        elif self.node in keeper.nodes:
            changed = self._serve(keeper, device, missing.reason if missing else "")
            if not (changed or extras or missing):
                self.settled[keeper.name] = (device.id, device, keeper)
        else:
            self._enter(keeper, missing)
        for extra in extras:
            self._drop_extra(extra, keeper)

    def _serve(self, instance: Instance, device: Device, reason: str) -> bool:
        self.serving[instance.name] = Serving(device, Standing.SERVED, reason)
        update = instance_update(instance, self.configuration, device) if instance.nodes[0] == self.node else None
        if update is not None:
            self.commands.append(update)
        return update is not None

    def _enter(self, instance: Instance, missing: Missing | None) -> None:
        if missing is None and instance.shared:
            self.commands.append(Join(instance.key, instance.metadata.uid))
        elif missing is None:
            self._wait(instance.key, _NO_NODE)
        self._retire(instance, missing.reason if missing else "this node is not in the Instance yet")

    def _drop_extra(self, extra: Instance, keeper: Instance) -> None:
        reason = f"Instance {keeper.name} of the same device stays"
        if self.node in extra.nodes and self.node in keeper.nodes and not holds_slots(extra, self.node):
            self._leave(extra, reason)
        else:
            self._retire(extra, reason)

    def _adopt(self, instance: Instance, device: Device) -> None:
        # Made by upstream, which keeps no device id: `nodes[0]` writes it. A node that is in `nodes` was put there because it
        # saw a device with this digest, so it may serve it meanwhile.
        if instance.metadata.deleting:
            self._wait(instance.key, _DELETING)
            self._retire(instance, _DELETING)
            return
        if self.node in instance.nodes:
            self._serve(instance, device, "")
        if instance.nodes[:1] != (self.node,):
            self._wait(instance.key, f"{instance.nodes[0]} has to say which device it is" if instance.nodes else _NO_NODE)

    def _verdict(self, instance: Instance) -> str | None:
        device_id = _device_id(instance)
        if device_id is not None and device_id in self.view.present:
            return "the handler says otherwise now whether the device is shared"
        return self.view.verdict(device_id, shared=instance.shared, now=self.now)

    def _leave(self, instance: Instance, reason: str) -> None:
        if not instance.metadata.deleting:
            self.commands.append(Leave(instance.key, instance.metadata.uid, reason))
        self.serving[instance.name] = Serving(None, Standing.RETIRED, reason)

    def _retire(self, instance: Instance, reason: str) -> None:
        if self.node in instance.nodes or holds_slots(instance, self.node):
            self.serving[instance.name] = Serving(None, Standing.RETIRED, reason)

    def _wait(self, key: ObjectKey, reason: str) -> None:
        self.waiting.append(Waiting(key, reason))

    def _count_down(self, device_id: DeviceId | None, instance: InstanceName | None, due: float, misses: int, reason: str) -> None:
        self.dues.append(due)
        self.countdowns.append(Countdown(device_id, instance, due - self.now, misses, reason))

    def _moved(self) -> Iterator[Moved]:
        for name, serving in self.serving.items():
            former = self.before.serving.get(name)
            if former is serving or former is None or former.device is None or serving.device is None:
                continue
            if former.device != serving.device:
                yield Moved(name, former.device, serving.device)


def _device_id(instance: Instance) -> DeviceId | None:
    return None if instance.device_id is None else DeviceId(instance.device_id)


def _age(instance: Instance) -> tuple[bool, float, str]:
    return (instance.metadata.deleting, instance.metadata.created, instance.name)


def _command_order(command: Command) -> tuple[int, str]:
    key = command.instance.key if isinstance(command, Create | Update) else command.key
    return (_ORDER.index(type(command)), key.name)
