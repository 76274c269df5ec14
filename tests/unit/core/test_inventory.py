"""Which Instances one node creates, joins, serves and leaves: exact commands, and boundaries at exactly the grace."""

from __future__ import annotations

from attrs import evolve

from akri.core.device import Local, Shared, Sighting
from akri.core.errors import Problem
from akri.core.ids import ConfigurationName, DeviceId
from akri.core.instance import Instance
from akri.core.inventory import reconcile
from akri.core.inventory_commands import (
    Countdown,
    Create,
    Join,
    Leave,
    Reconciliation,
    Serving,
    Standing,
    Waiting,
)
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.core.naming import digest
from akri.core.presence import ABSENT, EXPIRED, GONE, SILENT, UNSEEN, Presence
from tests.unit.core.inventory_samples import (
    CAMERAS,
    HANDLER,
    LEAVING,
    LOCAL_TWINS,
    NAME,
    TWINS,
    A,
    configuration,
    decide,
    device,
    instance,
    key,
    seeing,
)


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
