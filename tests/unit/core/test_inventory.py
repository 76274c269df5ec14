"""Which Instances one node creates, joins, updates and leaves: the rules of the sharing protocol, one by one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.device import Device, DeviceNode, Local, Shared, Sighting
from akri.core.errors import Problem
from akri.core.ids import ConfigurationName, DeviceId, HandlerName, InstanceName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.inventory import reconcile
from akri.core.inventory_commands import (
    NOTHING,
    Countdown,
    Create,
    Join,
    Leave,
    Moved,
    Reconciliation,
    Serving,
    Standing,
    Update,
    Waiting,
    remembered,
)
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.naming import digest
from akri.core.presence import ABSENT, EXPIRED, GONE, SILENT, UNSEEN, Presence

A, B = NodeName("node-a"), NodeName("node-b")
HANDLER = "unix:/handler.sock"
TWINS = ("camera-9752", "camera-11047")  # one 3-byte digest: 6a1ec6
LOCAL_TWINS = ("usb-1879", "usb-2703")  # one 3-byte digest on node-a: a5b95d


def configuration(
    name: str = "cameras", *, uid: str = "uid-1", generation: int = 3, capacity: int = 2, grace: str = "300"
) -> Configuration:
    metadata = ObjectMeta(ObjectKey("default", name), uid=uid, generation=generation, annotations={"akri.sh/grace": grace})
    return Configuration(metadata, DiscoveryRequest(HandlerName("onvif")), capacity=capacity, broker_properties={"MODE": "fast"})


CAMERAS = configuration()


def device(id_: str = "foo0", **properties: str) -> Device:
    return Device(DeviceId(id_), properties)


def instance(
    id_: str | None = "foo0",
    *,
    name: str = "cameras-8120fe",
    nodes: tuple[str, ...] = ("node-a",),
    usage: Mapping[str, str] | None = None,
    local: str | None = None,
    owner: str | None = "uid-1",
    created: float = 50.0,
    generation: int | None = 3,
    capacity: int = 2,
    properties: Mapping[str, str] | None = None,
    deleting: bool = False,
    namespace: str = "default",
) -> Instance:
    stamp = None if generation is None else str(generation)
    notes = {"akri.sh/device-id": id_, "akri.sh/device-node": local, "akri.sh/configuration-generation": stamp}
    owners = (OwnerReference("akri.sh/v0", "Configuration", "cameras", owner, controller=True),) if owner else ()
    free = {f"{name}-{index}": "" for index in range(capacity)}
    return Instance(
        metadata=ObjectMeta(
            ObjectKey(namespace, name),
            uid=f"uid-of-{name}",
            revision=7,
            created=created,
            annotations={key: text for key, text in notes.items() if text is not None},
            owners=owners,
            deleting=deleting,
        ),
        configuration=ConfigurationName("cameras"),
        cdi_name=f"akri.sh/cameras={name.rpartition('-')[2]}",
        capacity=capacity,
        shared=local is None,
        nodes=tuple(NodeName(node) for node in nodes),
        device_usage=free if usage is None else usage,
        broker_properties={"MODE": "fast"} if properties is None else properties,
    )


def seeing(*devices: Device, shared: bool = True, start: float = 0.0, now: float = 10.0) -> Presence:
    return Presence.begin(start).registered(HANDLER, shared=shared).answered(HANDLER, devices, now)


def decide(
    presence: Presence, *published: Instance, now: float = 100.0, node: NodeName = A, before: Reconciliation = NOTHING
) -> Reconciliation:
    return reconcile(CAMERAS, node, presence, published, now, before)


def key(name: str = "cameras-8120fe") -> ObjectKey:
    return ObjectKey("default", name)


NAME = InstanceName("cameras-8120fe")
LEAVING = "uid-of-cameras-8120fe"


# Appear


def test_the_first_to_see_a_shared_device_creates_its_complete_instance() -> None:
    found = decide(seeing(device("foo0", URL="x", MODE="slow")))
    created = Instance(
        metadata=ObjectMeta(
            key(),
            annotations={"akri.sh/device-id": "foo0", "akri.sh/configuration-generation": "3"},
            owners=(OwnerReference("akri.sh/v0", "Configuration", "cameras", "uid-1", controller=True),),
        ),
        configuration=ConfigurationName("cameras"),
        cdi_name="akri.sh/cameras=8120fe",
        capacity=2,
        shared=True,
        nodes=(A,),
        device_usage={"cameras-8120fe-0": "", "cameras-8120fe-1": ""},
        broker_properties={"URL": "x", "MODE": "fast"},
    )
    assert found == Reconciliation(commands=(Create(created),))


def test_a_local_device_gets_a_name_and_an_annotation_of_its_node() -> None:
    (command,) = decide(seeing(device("foo0"), shared=False)).commands
    assert isinstance(command, Create)
    assert command.instance.key == key(f"cameras-{digest(DeviceId('foo0'), Local(A))}")
    assert not command.instance.shared
    assert command.instance.metadata.annotations == {
        "akri.sh/device-id": "foo0",
        "akri.sh/device-node": "node-a",
        "akri.sh/configuration-generation": "3",
    }


def test_what_a_node_creates_needs_nothing_more_once_it_is_published() -> None:
    for shared in True, False:
        presence = seeing(device("foo0", URL="x"), device("foo1"), shared=shared)
        published = [command.instance for command in decide(presence).commands if isinstance(command, Create)]
        stored = [evolve(one, metadata=evolve(one.metadata, uid=f"uid-1{one.name}")) for one in published]
        found = decide(presence, *stored)
        assert len(published) == 2
        assert (found.commands, found.waiting, found.problems) == ((), (), ())
        assert found.serving.keys() == {one.name for one in stored}


def test_creations_come_in_the_order_of_their_names() -> None:
    names = [
        command.instance.name for command in decide(seeing(device("b"), device("a"), device("c"))).commands if isinstance(command, Create)
    ]
    assert names == sorted(names)
    assert len(names) == 3


# Two ids with one digest (E10)


def test_e10_two_new_devices_with_one_digest_get_different_names() -> None:
    for order in TWINS, TWINS[::-1]:
        commands = decide(seeing(*map(device, order))).commands
        made = {c.instance.device_id: (c.instance.name, c.instance.cdi_name) for c in commands if isinstance(c, Create)}
        assert made == {
            "camera-11047": ("cameras-6a1ec6", "akri.sh/cameras=6a1ec6"),
            "camera-9752": ("cameras-1a9c3449", "akri.sh/cameras=1a9c3449"),
        }


def test_e10_the_second_device_gets_a_longer_digest() -> None:
    taken = instance("camera-9752", name="cameras-6a1ec6")
    (command,) = decide(seeing(*map(device, TWINS)), taken).commands
    assert isinstance(command, Create)
    assert command.instance.name == "cameras-bf861a36"
    assert command.instance.device_usage == {"cameras-bf861a36-0": "", "cameras-bf861a36-1": ""}


def test_e10_holds_for_devices_that_are_not_shared() -> None:
    commands = decide(seeing(*map(device, LOCAL_TWINS), shared=False)).commands
    names = [command.instance.name for command in commands if isinstance(command, Create)]
    longer = f"cameras-{digest(DeviceId('usb-2703'), Local(A), 4)}"
    assert sorted(names) == sorted(["cameras-a5b95d", longer])


def test_e10_digests_grow_until_one_is_not_taken() -> None:
    sizes = {size: f"cameras-{digest(DeviceId('foo0'), Shared(), size)}" for size in (3, 4, 5)}
    taken = [instance(f"other-{size}", name=sizes[size], nodes=("node-b",)) for size in (3, 4)]
    (command,) = decide(seeing(device("foo0")), *taken).commands
    assert isinstance(command, Create)
    assert command.instance.name == sizes[5]


def test_when_no_name_is_left_that_fits_a_kubelet_resource_the_device_is_reported() -> None:
    long = configuration("c" * 54)
    names = [f"{long.name}-{digest(DeviceId('foo0'), Shared(), size)}" for size in (3, 4)]
    taken = [instance(f"other-{name}", name=name, nodes=("node-b",)) for name in names]
    found = reconcile(long, A, seeing(device("foo0"), device("foo1")), taken, 100)
    assert [command.instance.device_id for command in found.commands if isinstance(command, Create)] == ["foo1"]
    assert found.problems == (Problem("device 'foo0'", "no name is left for its Instance: all its digests are taken"),)
    assert len(names[1]) == 63
    (command,) = reconcile(long, A, seeing(device("foo0")), taken[:1], 100).commands
    assert isinstance(command, Create)
    assert command.instance.name == names[1]


def test_digests_grow_up_to_32_bytes_and_no_further() -> None:
    short = configuration("c")
    names = [f"c-{digest(DeviceId('foo0'), Shared(), size)}" for size in range(3, 33)]
    fitting = [name for name in names if len(name) <= 63]
    taken = [instance(f"other-{name}", name=name, nodes=("node-b",)) for name in fitting]
    assert reconcile(short, A, seeing(device("foo0")), taken[:-1], 100).commands != ()
    assert reconcile(short, A, seeing(device("foo0")), taken, 100).commands == ()


# Names that others have


def test_an_instance_of_a_deleted_configuration_of_this_name_is_waited_for() -> None:
    found = decide(seeing(device("foo0")), instance("foo0", owner="uid-0", nodes=("node-a", "node-b")))
    reason = "it belongs to a deleted Configuration of this name; garbage collection removes it"
    assert found == Reconciliation(waiting=(Waiting(key(), reason),))


def test_an_instance_without_owner_is_reported_and_its_name_is_not_used() -> None:
    found = decide(seeing(device("foo0")), instance("foo0", owner=None))
    (command,) = found.commands
    assert isinstance(command, Create)
    assert command.instance.name == f"cameras-{digest(DeviceId('foo0'), Shared(), 4)}"
    assert found.problems == (Problem("Instance default/cameras-8120fe", "has no owner, so it is not used, and its name is taken"),)


def test_other_namespaces_do_not_matter() -> None:
    found = decide(seeing(device("foo0")), instance("foo0", namespace="other"), instance("foo9", namespace="other", name="cameras-other"))
    assert [type(command) for command in found.commands] == [Create]
    assert found.serving == {}


def test_instances_of_others_stand_in_no_ones_way() -> None:
    theirs = instance("foo9", name="lamps-111111", owner="uid-9")
    for published in (theirs, instance("foo0")), (instance("foo0"), theirs):
        assert decide(seeing(device("foo0")), *published) == Reconciliation(serving={NAME: Serving(device("foo0"))})


def test_the_local_instances_of_other_nodes_are_left_alone() -> None:
    theirs = instance("foo0", name="cameras-111111", nodes=("node-b",), local="node-b", usage={"cameras-111111-0": "node-b"})
    found = decide(seeing(shared=False), theirs)
    assert found == Reconciliation()


# Join


def test_a_shared_device_that_is_published_is_joined() -> None:
    found = decide(seeing(device("foo0")), instance("foo0", nodes=("node-b",)))
    assert found == Reconciliation(commands=(Join(key(), LEAVING),))


def test_the_annotation_wins_over_the_computed_name() -> None:
    found = decide(seeing(device("foo0")), instance("foo0", name="cameras-aabbccdd", nodes=("node-b",)))
    assert found.commands == (Join(key("cameras-aabbccdd"), "uid-of-cameras-aabbccdd"),)


def test_an_annotation_of_a_node_means_nothing_on_a_shared_instance() -> None:
    noted = evolve(instance("foo0", local="node-a"), shared=True)
    assert decide(seeing(device("foo0")), noted) == Reconciliation(serving={NAME: Serving(device("foo0"))})


def test_a_returning_node_joins_and_its_slots_are_not_given_out_until_then() -> None:
    held = instance("foo0", nodes=("node-b",), usage={"cameras-8120fe-0": "C:cameras-4:node-a"})
    found = decide(seeing(device("foo0")), held)
    assert found.commands == (Join(key(), LEAVING),)
    assert found.serving == {NAME: Serving(None, Standing.RETIRED, "this node is not in the Instance yet")}


def test_a_missing_device_is_neither_created_nor_joined() -> None:
    presence = seeing(device("foo0"), device("foo1")).lost(HANDLER, 20)
    assert decide(presence, instance("foo0", nodes=("node-b",))).commands == ()
    assert decide(presence, instance("foo0", nodes=("node-b",))).serving == {}


def test_a_slot_held_in_an_instance_that_was_left_is_retired_while_the_device_is_missing() -> None:
    presence = seeing(device("foo0")).lost(HANDLER, 20)
    found = decide(presence, instance("foo0", nodes=(), usage={"cameras-8120fe-0": "node-a"}))
    assert found.serving == {NAME: Serving(None, Standing.RETIRED, SILENT)}
    assert found.waiting == ()


def test_a_local_instance_without_nodes_cannot_be_joined() -> None:
    mine = instance("foo0", nodes=(), local="node-a", usage={"cameras-8120fe-0": "node-a"})
    found = decide(seeing(device("foo0"), shared=False), mine)
    assert found.commands == ()
    assert found.waiting == (Waiting(key(), "no node is in it; the controller deletes it"),)
    assert found.serving == {NAME: Serving(None, Standing.RETIRED, "this node is not in the Instance yet")}


def test_an_instance_that_is_being_deleted_is_waited_for() -> None:
    for nodes, serving in (
        (("node-a",), {NAME: Serving(None, Standing.RETIRED, "it is being deleted")}),
        (("node-b",), {}),
    ):
        found = decide(seeing(device("foo0")), instance("foo0", nodes=nodes, deleting=True, generation=1))
        assert found == Reconciliation(waiting=(Waiting(key(), "it is being deleted"),), serving=serving)


# Serve


def test_a_seen_device_is_served_with_its_last_description() -> None:
    foo = device("foo0", MODE="slow")
    found = decide(seeing(foo), instance("foo0"))
    assert found == Reconciliation(serving={NAME: Serving(foo, Standing.SERVED, "")})
    assert found.serving[NAME].healthy


def test_a_device_of_a_silent_handler_is_served_while_the_countdown_runs() -> None:
    foo = device("foo0")
    presence = seeing(foo).lost(HANDLER, 20)
    found = decide(presence, instance("foo0"), now=100)
    assert found == Reconciliation(
        serving={NAME: Serving(foo, Standing.SERVED, SILENT)},
        countdowns=(Countdown(DeviceId("foo0"), NAME, 220, 0, SILENT),),
        next_due=320,
    )


def test_a_missing_shared_device_is_served_until_exactly_the_end_of_its_grace() -> None:
    presence = seeing(device("foo0")).answered(HANDLER, [], 20).answered(HANDLER, [], 30)
    early = decide(presence, instance("foo0"), now=319.75)
    assert early.commands == ()
    assert early.countdowns == (Countdown(DeviceId("foo0"), NAME, 0.25, 2, ABSENT),)
    assert early.serving[NAME].healthy
    late = decide(presence, instance("foo0"), now=320)
    assert late == Reconciliation(
        commands=(Leave(key(), LEAVING, EXPIRED),),
        serving={NAME: Serving(None, Standing.RETIRED, EXPIRED)},
    )
    assert not late.serving[NAME].healthy


def test_the_grace_of_the_configuration_counts() -> None:
    presence = seeing(device("foo0")).answered(HANDLER, [], 20)
    quick = configuration(grace="5")
    assert reconcile(quick, A, presence, [instance("foo0")], 24.9).commands == ()
    assert reconcile(quick, A, presence, [instance("foo0")], 25).commands == (Leave(key(), LEAVING, EXPIRED),)


def test_countdowns_come_in_the_order_of_ids_and_the_first_end_is_due_next() -> None:
    presence = seeing(device("b"), device("a")).answered(HANDLER, [device("a")], 20).answered(HANDLER, [], 40)
    found = decide(presence, now=50)
    assert found.countdowns == (
        Countdown(DeviceId("a"), None, 290, 1, ABSENT),
        Countdown(DeviceId("b"), None, 270, 2, ABSENT),
    )
    assert found.next_due == 320


# After a start of the agent


def test_after_a_start_remembered_devices_are_served_before_any_handler_answered() -> None:
    foo = device("foo0")
    for scope, local in ((Shared(), None), (Local(A), "node-a")):
        presence = Presence.begin(0, [Sighting(foo, CAMERAS.key, scope)]).registered(HANDLER, shared=local is None)
        found = decide(presence, instance("foo0", local=local), now=299)
        assert found.commands == ()
        assert found.serving == {NAME: Serving(foo, Standing.SERVED, UNSEEN)}
        assert found.next_due == 300


def test_an_instance_of_this_node_whose_device_nobody_remembers_is_kept_unhealthy_for_the_grace() -> None:
    for id_ in "foo0", None:
        presence = Presence.begin(0).registered(HANDLER, shared=True)
        found = decide(presence, instance(id_), now=299)
        assert found == Reconciliation(
            serving={NAME: Serving(None, Standing.UNSEEN, UNSEEN)},
            countdowns=(Countdown(None if id_ is None else DeviceId(id_), NAME, 1, 0, UNSEEN),),
            next_due=300,
        )
        assert not found.serving[NAME].healthy
        assert decide(presence, instance(id_), now=300).commands == (Leave(key(), LEAVING, EXPIRED),)


def test_an_unremembered_local_device_goes_with_the_first_answer_without_it() -> None:
    mine = instance("foo0", local="node-a")
    assert decide(Presence.begin(0).registered(HANDLER, shared=False), mine).commands == ()
    assert decide(seeing(shared=False), mine).commands == (Leave(key(), LEAVING, ABSENT),)


# Leave


def test_a_local_device_that_is_absent_is_left_at_once() -> None:
    presence = seeing(device("foo0"), shared=False).answered(HANDLER, [], 20)
    held = instance("foo0", local="node-a", usage={"cameras-8120fe-0": "node-a"})
    assert decide(presence, held, now=20) == Reconciliation(
        commands=(Leave(key(), LEAVING, ABSENT),),
        serving={NAME: Serving(None, Standing.RETIRED, ABSENT)},
    )


def test_a_shared_device_that_is_certainly_gone_is_left_at_once() -> None:
    presence = seeing(device("foo0")).answered(HANDLER, [], 20, [DeviceId("foo0")])
    assert decide(presence, instance("foo0", nodes=("node-b", "node-a")), now=20).commands == (Leave(key(), LEAVING, GONE),)


def test_nothing_is_left_twice() -> None:
    presence = seeing(device("foo0")).answered(HANDLER, [], 20, [DeviceId("foo0")])
    found = decide(presence, instance("foo0", deleting=True), now=20)
    assert found.commands == ()
    assert found.serving == {NAME: Serving(None, Standing.RETIRED, GONE)}


def test_what_this_node_left_is_retired_while_it_holds_a_slot() -> None:
    presence = seeing()
    held = instance("foo0", nodes=("node-b",), usage={"cameras-8120fe-0": "", "cameras-8120fe-1": "node-a"})
    assert decide(presence, held) == Reconciliation(serving={NAME: Serving(None, Standing.RETIRED, "this node left the Instance")})
    for usage in {}, {"cameras-8120fe-0": "node-b"}, {"cameras-8120fe-0": "rub bish"}, {"cameras-8120fe-0": "big-node-a"}:
        assert decide(presence, instance("foo0", nodes=("node-b",), usage=usage)) == Reconciliation()


def test_every_instance_whose_device_is_not_seen_is_looked_at() -> None:
    left = instance("a", name="cameras-1", nodes=("node-b",), usage={"cameras-1-0": "node-a"})
    kept = instance("b", name="cameras-2")
    found = decide(Presence.begin(0), left, kept, now=1)
    assert {name: one.standing for name, one in found.serving.items()} == {"cameras-1": Standing.RETIRED, "cameras-2": Standing.UNSEEN}


def test_a_device_that_is_shared_in_another_way_now_gets_a_new_instance_and_the_old_one_is_left() -> None:
    reason = "the handler says otherwise now whether the device is shared"
    found = decide(seeing(device("foo0"), shared=False), instance("foo0"))
    assert [type(command) for command in found.commands] == [Create, Leave]
    assert found.commands[1] == Leave(key(), LEAVING, reason)
    mine = instance("foo0", name="cameras-111111", local="node-a")
    found = decide(seeing(device("foo0")), mine)
    assert found.commands[1] == Leave(mine.key, mine.metadata.uid, reason)


# Two Instances for one device


def test_of_two_instances_of_one_device_the_older_stays() -> None:
    foo = device("foo0")
    older = instance("foo0", name="cameras-ffffffff", created=40)
    younger = instance("foo0", created=50)
    for published in (older, younger), (younger, older):
        found = decide(seeing(foo), *published)
        reason = "Instance cameras-ffffffff of the same device stays"
        assert found == Reconciliation(
            commands=(Leave(key(), LEAVING, reason),),
            serving={older.name: Serving(foo), NAME: Serving(None, Standing.RETIRED, reason)},
        )


def test_of_two_instances_of_one_age_the_smaller_name_stays() -> None:
    found = decide(seeing(device("foo0")), instance("foo0", name="cameras-ffffffff"), instance("foo0"))
    assert found.commands == (
        Leave(key("cameras-ffffffff"), "uid-of-cameras-ffffffff", "Instance cameras-8120fe of the same device stays"),
    )


def test_the_other_instance_is_left_when_the_slots_of_this_node_are_free() -> None:
    stays = instance("foo0", created=40, name="cameras-000000")
    reason = "Instance cameras-000000 of the same device stays"
    mine = instance("foo0", usage={"cameras-8120fe-0": "node-a"})
    found = decide(seeing(device("foo0")), stays, mine)
    assert found.commands == ()
    assert found.serving[NAME] == Serving(None, Standing.RETIRED, reason)
    theirs = instance("foo0", nodes=("node-a", "node-b"), usage={"cameras-8120fe-0": "node-b"})
    assert decide(seeing(device("foo0")), stays, theirs).commands == (Leave(key(), LEAVING, reason),)


def test_a_node_joins_the_instance_that_stays_before_it_leaves_the_other() -> None:
    stays = instance("foo0", created=40, name="cameras-000000", nodes=("node-b",))
    found = decide(seeing(device("foo0")), stays, instance("foo0"))
    assert found.commands == (Join(stays.key, stays.metadata.uid),)
    assert found.serving == {NAME: Serving(None, Standing.RETIRED, "Instance cameras-000000 of the same device stays")}


def test_an_instance_that_is_being_deleted_does_not_stay() -> None:
    dying = instance("foo0", created=40, name="cameras-000000", deleting=True)
    found = decide(seeing(device("foo0")), dying, instance("foo0"))
    assert found.commands == ()
    assert found.serving[NAME] == Serving(device("foo0"))
    assert found.serving[dying.name].standing is Standing.RETIRED


def test_the_instance_that_stays_is_the_one_that_counts_down() -> None:
    presence = seeing(device("foo0")).answered(HANDLER, [], 20)
    found = decide(presence, instance("foo0", name="cameras-ffffffff"), instance("foo0"))
    assert [countdown.instance for countdown in found.countdowns] == [NAME]


# The reporter's writes


def test_the_reporter_writes_what_differs() -> None:
    published = instance("foo0", nodes=("node-a", "node-b"), generation=2, capacity=1, usage={"cameras-8120fe-0": "node-b"}, properties={})
    noted = evolve(published, metadata=evolve(published.metadata, annotations={**published.metadata.annotations, "akri.sh/fence": "9"}))
    (command,) = decide(seeing(device("foo0", URL="x")), noted).commands
    wanted = evolve(
        noted,
        metadata=evolve(noted.metadata, annotations={**noted.metadata.annotations, "akri.sh/configuration-generation": "3"}),
        capacity=2,
        device_usage={"cameras-8120fe-0": "node-b", "cameras-8120fe-1": ""},
        broker_properties={"MODE": "fast", "URL": "x"},
    )
    assert command == Update(wanted, ("capacity", "deviceUsage", "brokerProperties", "annotations"))


@pytest.mark.parametrize(
    ("published", "changes"),
    [
        (instance(usage={"cameras-8120fe-1": ""}), ("deviceUsage",)),
        (instance(properties={"MODE": "slow"}), ("brokerProperties",)),
        (instance(generation=None), ("annotations",)),
        (instance(generation=2), ("annotations",)),
        (evolve(instance(), capacity=3), ("capacity",)),
    ],
)
def test_each_difference_alone_is_written_by_the_reporter_and_by_nobody_else(published: Instance, changes: tuple[str, ...]) -> None:
    (command,) = decide(seeing(device("foo0")), published).commands
    assert isinstance(command, Update)
    assert command.changes == changes
    assert command.instance.metadata.uid == LEAVING
    assert command.instance.metadata.revision == 7
    assert decide(seeing(device("foo0")), evolve(published, nodes=(B, A))).commands == ()


def test_capacity_down_removes_free_keys_and_keeps_those_in_use_and_unreadable_ones() -> None:
    usage = {"cameras-8120fe-0": "node-b", "cameras-8120fe-1": "rub bish", "cameras-8120fe-2": "", "cameras-8120fe-3": "node-a", "x": ""}
    (command,) = decide(seeing(device("foo0")), evolve(instance(usage=usage), capacity=4)).commands
    assert isinstance(command, Update)
    assert command.changes == ("capacity", "deviceUsage")
    assert command.instance.capacity == 2
    assert command.instance.device_usage == {key: text for key, text in usage.items() if key != "cameras-8120fe-2"}
    assert decide(seeing(device("foo0")), command.instance).commands == ()


def test_the_reporter_writes_for_a_silent_handler_too() -> None:
    presence = seeing(device("foo0")).lost(HANDLER, 20)
    (command,) = decide(presence, instance("foo0", generation=2)).commands
    assert isinstance(command, Update)


def test_the_update_of_a_local_device_keeps_its_node() -> None:
    presence = seeing(device("foo0"), shared=False)
    (command,) = decide(presence, instance("foo0", local="node-a", generation=2)).commands
    assert isinstance(command, Update)
    assert command.instance.device_node == "node-a"
    assert command.changes == ("annotations",)
    lost = decide(presence.lost(HANDLER, 20), instance("foo0", local="node-a", generation=2))
    assert lost.commands == (command,)


def test_what_was_written_from_a_later_generation_is_left_alone() -> None:
    assert decide(seeing(device("foo0")), instance("foo0", generation=4, capacity=5)).commands == ()


# Instances that upstream made


def test_the_reporter_annotates_an_instance_that_upstream_made() -> None:
    foo = device("foo0")
    found = decide(seeing(foo), instance(None, generation=None, usage={"cameras-8120fe-1": "node-b"}))
    (command,) = found.commands
    assert isinstance(command, Update)
    assert command.changes == ("deviceUsage", "annotations")
    assert command.instance.device_id == "foo0"
    assert command.instance.device_usage == {"cameras-8120fe-0": "", "cameras-8120fe-1": "node-b"}
    assert found.serving == {NAME: Serving(foo)}
    assert found.waiting == ()


def test_the_reporter_annotates_whoever_else_is_in_nodes() -> None:
    found = decide(seeing(device("foo0")), instance(None, nodes=("node-a", "node-b")))
    assert found.waiting == ()
    assert [command.changes for command in found.commands if isinstance(command, Update)] == [("annotations",)]


def test_the_node_of_a_local_instance_that_upstream_made_is_annotated_too() -> None:
    name = f"cameras-{digest(DeviceId('foo0'), Local(A))}"
    (command,) = decide(seeing(device("foo0"), shared=False), evolve(instance(None, name=name), shared=False)).commands
    assert isinstance(command, Update)
    assert command.instance.device_node == "node-a"


def test_others_wait_for_the_annotation_and_serve_what_they_joined_before() -> None:
    foo = device("foo0")
    waiting = (Waiting(key(), "node-b has to say which device it is"),)
    inside = decide(seeing(foo), instance(None, nodes=("node-b", "node-a"), generation=None))
    assert inside == Reconciliation(waiting=waiting, serving={NAME: Serving(foo)})
    outside = decide(seeing(foo), instance(None, nodes=("node-b",), generation=None))
    assert outside == Reconciliation(waiting=waiting)


def test_an_instance_of_upstream_without_nodes_is_the_controllers() -> None:
    found = decide(seeing(device("foo0")), instance(None, nodes=(), generation=None))
    assert found == Reconciliation(waiting=(Waiting(key(), "no node is in it; the controller deletes it"),))


def test_an_instance_of_upstream_that_is_being_deleted_is_waited_for() -> None:
    found = decide(seeing(device("foo0")), instance(None, deleting=True))
    waiting = (Waiting(key(), "it is being deleted"),)
    assert found == Reconciliation(waiting=waiting, serving={NAME: Serving(None, Standing.RETIRED, "it is being deleted")})


def test_an_instance_of_upstream_that_is_shared_in_another_way_is_another_device() -> None:
    name = f"cameras-{digest(DeviceId('foo0'), Shared())}"
    other = instance(None, name=name, local="node-b", nodes=("node-b",))
    (command,) = decide(seeing(device("foo0")), other).commands
    assert isinstance(command, Create)
    assert command.instance.name == f"cameras-{digest(DeviceId('foo0'), Shared(), 4)}"


def test_of_two_devices_with_one_digest_only_one_takes_an_instance_of_upstream_over() -> None:
    commands = decide(seeing(*map(device, TWINS)), instance(None, name="cameras-6a1ec6", generation=None)).commands
    assert [(type(command), command.instance.device_id) for command in commands if isinstance(command, Create | Update)] == [
        (Update, "camera-11047"),
        (Create, "camera-9752"),
    ]


# Moved devices (E5)


def test_e5_a_device_with_another_device_node_is_reported_as_moved_and_served_in_its_new_form() -> None:
    old = Device(DeviceId("foo0"), device_nodes=(DeviceNode("/dev/video0", "/dev/video0"),))
    new = evolve(old, device_nodes=(DeviceNode("/dev/video0", "/dev/video1"),))
    other = device("foo1")
    published = (instance("foo0"), instance("foo1", name="cameras-a19705"))
    before = decide(seeing(old, other), *published)
    assert before.moved == ()
    assert decide(seeing(other, new), *published, before=before).moved == (Moved(NAME, old, new),)
    found = decide(seeing(new, other), *published, before=before)
    assert found.moved == (Moved(NAME, old, new),)
    assert found.serving[NAME] == Serving(new)
    assert found.commands == ()
    assert decide(seeing(new, other), *published, before=found).moved == ()


def test_e5_another_property_moves_a_device_and_is_written_by_the_reporter() -> None:
    before = decide(seeing(device("foo0")), instance("foo0"))
    found = decide(seeing(device("foo0", URL="x")), instance("foo0"), before=before)
    assert found.moved == (Moved(NAME, device("foo0"), device("foo0", URL="x")),)
    assert [command.changes for command in found.commands if isinstance(command, Update)] == [("brokerProperties",)]


def test_e5_a_device_that_moved_while_the_agent_was_down_is_reported() -> None:
    before = remembered({NAME: device("foo0"), InstanceName("cameras-a19705"): device("foo1")})
    published = (instance("foo1", name="cameras-a19705"), instance("foo0"))
    found = decide(seeing(device("foo0", URL="x"), device("foo1", URL="y")), *published, before=before)
    assert [moved.instance for moved in found.moved] == ["cameras-8120fe", "cameras-a19705"]


def test_e5_a_device_that_moved_is_found_among_new_ones() -> None:
    published = (instance("foo1", name="cameras-a19705"), instance("foo0"))
    found = decide(seeing(device("foo1"), device("foo0", URL="x")), *published, before=remembered({NAME: device("foo0")}))
    assert [moved.instance for moved in found.moved] == [NAME]


def test_what_is_not_served_has_not_moved() -> None:
    before = decide(seeing(device("foo0")), instance("foo0"))
    gone = decide(seeing(device("foo0")).answered(HANDLER, [], 20, [DeviceId("foo0")]), instance("foo0"), before=before)
    assert gone.moved == ()
    assert decide(seeing(device("foo0", URL="x")), instance("foo0"), before=gone).moved == ()


# The last answer saves work and decides nothing


def test_what_is_settled_is_passed_over_and_served_as_before() -> None:
    foo, published = device("foo0"), instance("foo0")
    presence = seeing(foo)
    first = decide(presence, published)
    again = decide(presence, published, before=first)
    assert again == first
    assert again.serving[NAME] is first.serving[NAME]
    assert first.settled is not None
    assert again.settled == first.settled
    assert first.settled.inputs == {"foo0": (foo, published)}


@pytest.mark.parametrize(
    "published",
    [
        (instance("foo0", generation=2),),
        (instance("foo0", nodes=("node-b",)),),
        (instance("foo0"), instance("foo0", name="cameras-ffffffff", usage={"cameras-ffffffff-0": "node-a"})),
        (instance("foo0", deleting=True),),
    ],
)
def test_what_needs_something_is_not_settled(published: tuple[Instance, ...]) -> None:
    first = decide(seeing(device("foo0")), *published)
    assert first.settled is not None
    assert first.settled.inputs == {}
    assert decide(seeing(device("foo0")), *published, before=first) == first


def test_a_missing_device_is_not_settled() -> None:
    settled = decide(seeing(device("foo0")).lost(HANDLER, 20), instance("foo0")).settled
    assert settled is not None
    assert settled.inputs == {}


def test_another_instance_configuration_or_node_is_looked_at_again() -> None:
    presence, published = seeing(device("foo0")), instance("foo0")
    first = decide(presence, published)
    changed = evolve(published, broker_properties={})
    assert len(decide(presence, changed, before=first).commands) == 1
    assert len(decide(presence, published, instance("foo0", name="cameras-ffffffff"), before=first).commands) == 1
    assert decide(presence, published, node=B, before=first).commands == (Join(key(), LEAVING),)
    assert len(reconcile(configuration(generation=4), A, presence, [published], 100, first).commands) == 1
    assert len(decide(seeing(device("foo0", URL="x")), published, before=first).commands) == 1


# Order


def test_commands_come_as_updates_joins_creations_and_leavings_each_in_the_order_of_keys() -> None:
    presence = seeing(*(device(id_) for id_ in "abcd"), device("new")).answered(
        HANDLER, [*(device(id_) for id_ in "abcd"), device("new")], 20, [DeviceId("x"), DeviceId("y")]
    )
    published = [
        instance("x", name="cameras-2"),
        instance("y", name="cameras-1"),
        instance("a", name="cameras-4", nodes=("node-b",)),
        instance("b", name="cameras-3", nodes=("node-b",)),
        instance("c", name="cameras-6", generation=2),
        instance("d", name="cameras-5", generation=2),
    ]
    expected = [
        (Update, "cameras-5"),
        (Update, "cameras-6"),
        (Join, "cameras-3"),
        (Join, "cameras-4"),
        (Create, f"cameras-{digest(DeviceId('new'), Shared())}"),
        (Leave, "cameras-1"),
        (Leave, "cameras-2"),
    ]
    for order in published, published[::-1]:
        found = decide(presence, *order)
        named = [(type(c), (c.instance.key if isinstance(c, Create | Update) else c.key).name) for c in found.commands]
        assert named == expected


def test_waiting_comes_in_the_order_of_keys() -> None:
    published = [instance(id_, name=f"cameras-{id_}", deleting=True) for id_ in "bca"]
    found = decide(seeing(*map(device, "cab")), *published)
    assert [waiting.key.name for waiting in found.waiting] == ["cameras-a", "cameras-b", "cameras-c"]


def test_problems_of_answers_come_first() -> None:
    found = decide(seeing(device(""), device("foo0")), instance("foo0", owner=None))
    assert [problem.place for problem in found.problems] == ["device ''.id", "Instance default/cameras-8120fe"]
