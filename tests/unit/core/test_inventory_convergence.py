"""Several nodes decide for themselves, late and in any order, against one store: in the end there is one Instance for each device."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from attrs import define, evolve, field, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device
from akri.core.ids import ConfigurationName, DeviceId, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.inventory import reconcile
from akri.core.inventory_commands import NOTHING, Command, Create, Join, Leave, Reconciliation, Standing, Update
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.presence import Presence

HANDLER = "embedded"
NODES = (NodeName("node-a"), NodeName("node-b"), NodeName("node-c"))
# The first two have one 3-byte digest; of the next two too, on node-a, where they are not shared.
DEVICES = tuple(Device(DeviceId(id_), {"ID": id_}) for id_ in ("camera-9752", "camera-11047", "usb-1879", "usb-2703", "foo0"))
GRACE = 60.0
EXAMPLES = 120


def configuration(generation: int = 1, capacity: int = 2) -> Configuration:
    metadata = ObjectMeta(
        ObjectKey("default", "cameras"), uid="uid-1", generation=generation, annotations={"akri.sh/grace": str(int(GRACE))}
    )
    return Configuration(metadata, DiscoveryRequest(HandlerName("onvif")), capacity=capacity)


@define(eq=False)
class Store:
    """What the platform promises and no more: single objects change by compare-and-set."""

    objects: dict[str, Instance] = field(factory=dict[str, Instance])
    writes: int = 0
    ticks: float = 0.0

    def _put(self, instance: Instance) -> None:
        self.writes += 1
        self.objects[instance.name] = evolve(instance, metadata=evolve(instance.metadata, revision=self.writes))

    def execute(self, node: NodeName, command: Command) -> None:
        key, uid = (
            (command.key, command.uid) if isinstance(command, Join | Leave) else (command.instance.key, command.instance.metadata.uid)
        )
        present = self.objects.get(key.name)
        if isinstance(command, Create):
            if present is None:  # else AlreadyExists: somebody was faster
                self._create(command.instance)
        elif present is not None and present.metadata.uid == uid:
            self._change(present, node, command)

    def _create(self, instance: Instance) -> None:
        identity = evolve(instance.metadata, uid=f"uid-{self.writes}", created=self.ticks)
        self._put(evolve(instance, metadata=identity))

    def _change(self, present: Instance, node: NodeName, command: Join | Update | Leave) -> None:
        match command:
            case Join():
                assert present.shared
                if node not in present.nodes:
                    self._put(evolve(present, nodes=(*present.nodes, node)))
            case Update(instance):
                if present.metadata.revision == instance.metadata.revision:
                    assert present.nodes[0] == node
                    self._put(evolve(instance, nodes=present.nodes))
            case Leave():
                if node in present.nodes:
                    self.leave(present, node)

    def leave(self, present: Instance, node: NodeName) -> None:
        rest = tuple(name for name in present.nodes if name != node)
        if rest:
            self._put(evolve(present, nodes=rest))
        else:
            del self.objects[present.name]

    def claim(self, name: str, node: NodeName) -> None:
        present = self.objects.get(name)
        if present and node in present.nodes and present.device_usage.get(f"{name}-0") == "":
            self._put(evolve(present, device_usage={**present.device_usage, f"{name}-0": node}))

    def release_all(self) -> None:
        for present in tuple(self.objects.values()):
            self._put(evolve(present, device_usage=dict.fromkeys(present.device_usage, "")))

    def collect_garbage(self) -> None:
        """What garbage collection and the controller do."""
        for present in tuple(self.objects.values()):
            if present.owner_uid != "uid-1" or not present.nodes:
                del self.objects[present.name]


@define(eq=False)
class Agent:
    """One node: what it sees, what it last observed of the store, what it has decided, and which of its writes are late."""

    node: NodeName
    shared: bool
    presence: Presence = field(init=False)
    visible: frozenset[DeviceId] = frozenset()
    observed: tuple[Instance, ...] = ()
    queue: list[Command] = field(factory=list[Command])
    late: list[Command] = field(factory=list[Command])
    before: Reconciliation = NOTHING

    def __attrs_post_init__(self) -> None:
        self.restart(0.0)

    def restart(self, now: float) -> None:
        self.presence = Presence.begin(now).registered(HANDLER, shared=self.shared)
        self.before = NOTHING
        self.late, self.queue = [*self.late, *self.queue], []

    def answer(self, now: float) -> None:
        self.presence = self.presence.answered(HANDLER, [device for device in DEVICES if device.id in self.visible], now)

    def decide(self, wanted: Configuration, now: float) -> Reconciliation:
        found = reconcile(wanted, self.node, self.presence, self.observed, now, self.before)
        fresh = reconcile(wanted, self.node, self.presence, reversed(self.observed), now)
        assert evolve(found, moved=()) == fresh  # neither the last answer nor any order decides anything
        self.before = found
        self.late, self.queue = [*self.late, *self.queue], list(found.commands)
        return found


class Op(Enum):
    """What may happen next."""

    OBSERVE = auto()
    DECIDE = auto()
    EXECUTE = auto()
    APPEAR = auto()
    VANISH = auto()
    LOSE = auto()
    RESTART = auto()
    CLAIM = auto()
    WAIT = auto()
    EDIT = auto()


@frozen
class Step:
    """One thing that happens; node and device say to whom, where that matters."""

    op: Op
    node: int = 0
    device: int = 0


@define(eq=False)
class World:
    """Store, agents, time, and the Configuration as the user last wrote it."""

    shared: bool
    agents: tuple[Agent, ...] = ()
    store: Store = field(factory=Store)
    now: float = 0.0
    wanted: Configuration = field(factory=configuration)

    def take(self, step: Step) -> None:
        agent, device = self.agents[step.node], DEVICES[step.device]
        self.now += 1
        if step.op in {Op.APPEAR, Op.VANISH}:
            agent.visible = agent.visible | {device.id} if step.op is Op.APPEAR else agent.visible - {device.id}
            agent.answer(self.now)
        elif step.op is Op.WAIT:
            self.now += GRACE
            self.store.ticks += 1
        elif step.op is Op.EDIT:
            self.wanted = configuration(self.wanted.metadata.generation + 1, 1 + step.device)
        else:
            self._act(agent, step)

    def _act(self, agent: Agent, step: Step) -> None:
        if step.op is Op.OBSERVE:
            agent.observed = tuple(self.store.objects.values())
        elif step.op is Op.DECIDE:
            agent.decide(self.wanted, self.now)
        elif step.op is Op.LOSE:
            agent.presence = agent.presence.lost(HANDLER, self.now)
        elif step.op is Op.RESTART:
            agent.restart(self.now)
        elif step.op is Op.EXECUTE and agent.queue:
            self.store.execute(agent.node, agent.queue.pop(0))
        elif step.op is Op.CLAIM:
            served = sorted(name for name, serving in agent.before.serving.items() if serving.healthy)
            if served:
                self.store.claim(served[step.device % len(served)], agent.node)

    def round(self) -> int:
        """Let every agent observe, decide and act once; return how many commands there were."""
        done = 0
        for agent in self.agents:
            self.now += 1
            agent.observed = tuple(self.store.objects.values())
            agent.decide(self.wanted, self.now)
            done += len(agent.queue)
            while agent.queue:
                self.store.execute(agent.node, agent.queue.pop(0))
        return done

    def settle(self) -> None:
        """Let things calm down: late writes take effect, pods end, handlers answer, the grace passes; a few rounds have to be enough."""
        for agent in self.agents:
            for command in agent.late:
                self.store.execute(agent.node, command)
        self.store.release_all()
        for agent in self.agents:
            agent.answer(self.now)
        self.now += 2 * GRACE
        for _ in range(8):
            self.store.collect_garbage()
            if not self.round():
                break
        self.store.collect_garbage()

    def expected(self) -> list[tuple[str, str | None, frozenset[str]]]:
        """Return device, node of a device that is not shared, and who sees it, for each Instance that there should be."""
        seen = {agent.node: agent.visible for agent in self.agents}
        if self.shared:
            everywhere = sorted({id_ for ids in seen.values() for id_ in ids})
            return [(id_, None, frozenset(node for node in seen if id_ in seen[node])) for id_ in everywhere]
        return sorted((id_, node, frozenset({node})) for node, ids in seen.items() for id_ in ids)

    def found(self) -> list[tuple[str, str | None, frozenset[str]]]:
        """Return the same for each Instance that there is."""
        objects = self.store.objects.values()
        return sorted(((one.device_id or "", one.device_node, frozenset(one.nodes)) for one in objects), key=lambda item: item[:2])


def upstream_instance(name: str, nodes: Sequence[NodeName], *, owner: str = "uid-1") -> Instance:
    owners = (OwnerReference("akri.sh/v0", "Configuration", "cameras", owner, controller=True),)
    metadata = ObjectMeta(ObjectKey("default", name), uid=f"upstream-{name}", owners=owners)
    return Instance(metadata, ConfigurationName("cameras"), f"akri.sh/cameras={name[-6:]}", 2, shared=True, nodes=tuple(nodes))


def world(steps: Sequence[Step], *, shared: bool, inherited: Sequence[Instance] = ()) -> World:
    made = World(shared, tuple(Agent(node, shared) for node in NODES))
    made.store.objects.update({one.name: one for one in inherited})
    for step in steps:
        made.take(step)
    made.settle()
    return made


STEPS = st.lists(
    st.builds(Step, st.sampled_from(Op), st.integers(0, len(NODES) - 1), st.integers(0, len(DEVICES) - 1)), min_size=15, max_size=60
)
INHERITED = st.lists(
    st.builds(
        upstream_instance,
        st.sampled_from(["cameras-8120fe", "cameras-6a1ec6"]),
        st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True),
        owner=st.sampled_from(["uid-1", "uid-0"]),
    ),
    max_size=2,
    unique_by=lambda one: one.name,
)
RACE = [
    # node-a and node-b both see the device before either sees the other's Instance; node-c sees its twin first.
    *(Step(Op.APPEAR, node, device) for node, device in ((0, 0), (1, 0), (2, 1))),
    *(Step(op, node) for op in (Op.OBSERVE, Op.DECIDE) for node in (2, 0, 1)),
    *(Step(Op.EXECUTE, node) for node in (2, 0, 1)),
    Step(Op.APPEAR, 0, 1),
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=STEPS, shared=st.booleans(), inherited=INHERITED)
@example(steps=RACE, shared=True, inherited=[])
@example(steps=RACE, shared=False, inherited=[])
def test_e8_e10_all_nodes_converge_to_one_instance_for_each_device(steps: list[Step], shared: bool, inherited: list[Instance]) -> None:
    calm = world(steps, shared=shared, inherited=inherited)
    assert calm.found() == calm.expected()
    for one in calm.store.objects.values():
        assert one.capacity == calm.wanted.capacity
        assert one.device_usage == {f"{one.name}-{index}": "" for index in range(one.capacity)}
        assert one.broker_properties == {"ID": one.device_id}
        assert one.generation_seen == calm.wanted.metadata.generation


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, shared=st.booleans())
@example(steps=RACE, shared=True)
def test_e8_once_calm_nothing_flaps(steps: list[Step], shared: bool) -> None:
    calm = world(steps, shared=shared)
    writes = calm.store.writes
    assert [calm.round() for _ in range(3)] == [0, 0, 0]
    assert calm.store.writes == writes
    for agent in calm.agents:
        served = agent.decide(calm.wanted, calm.now)
        assert {one.device.id for one in served.serving.values() if one.device} == agent.visible
        assert all(one.standing is Standing.SERVED for one in served.serving.values())
        assert (served.commands, served.waiting, served.countdowns, served.next_due) == ((), (), (), None)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, shared=st.booleans())
def test_e7_when_the_last_node_drops_a_device_its_instance_is_deleted(steps: list[Step], shared: bool) -> None:
    calm = world(steps, shared=shared)
    for agent in calm.agents:
        agent.visible = frozenset()
        agent.answer(calm.now)
    calm.now += GRACE
    for agent in calm.agents:  # all look before any acts: they drop it at the same moment
        agent.observed = tuple(calm.store.objects.values())
        agent.decide(calm.wanted, calm.now)
    for agent in calm.agents:
        for command in agent.queue:
            assert isinstance(command, Leave)
            calm.store.execute(agent.node, command)
    assert calm.store.objects == {}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(DEVICES), min_size=1), st.booleans(), st.integers(0, int(GRACE) - 1))
def test_e8_one_lost_answer_changes_nothing(devices: set[Device], restart: bool, pause: int) -> None:
    steps = [Step(Op.APPEAR, node, DEVICES.index(device)) for device in devices for node in (0, 1)]
    calm = world(steps, shared=True)
    agent, start = calm.agents[0], calm.now
    if restart:
        agent.restart(start)
    else:
        agent.presence = agent.presence.answered(HANDLER, [], start)
    assert agent.decide(calm.wanted, start + pause).commands == ()
    agent.answer(start + pause)
    found = agent.decide(calm.wanted, start + pause)
    assert (found.commands, found.countdowns) == ((), ())


def test_e10_ten_thousand_devices_stay_ten_thousand_instances() -> None:
    devices = [Device(DeviceId(f"camera-{number}")) for number in range(1_500, 11_500)]
    presence = Presence.begin(0).registered(HANDLER, shared=True).answered(HANDLER, devices, 1)
    commands = reconcile(configuration(), NODES[0], presence, (), 2).commands
    made = {command.instance.name: command.instance.device_id for command in commands if isinstance(command, Create)}
    assert len(commands) == len(made) == 10_000
    assert set(made.values()) == {device.id for device in devices}
    longer = sorted(name for name in made if len(name) == len("cameras-bf861a36"))
    assert longer == ["cameras-1a9c3449", "cameras-48038a1b", "cameras-6c2bf5b8"]
