"""How nodes agree on Instances: duplicates, the reporter's writes, upstream's Instances, moved devices, a fixed order."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.device import Device, DeviceNode, Local, Shared
from akri.core.ids import DeviceId, InstanceName
from akri.core.instance import Instance
from akri.core.inventory import reconcile
from akri.core.inventory_commands import (
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
from akri.core.inventory_instances import only_claimed
from akri.core.naming import digest
from tests.unit.core.inventory_samples import HANDLER, LEAVING, NAME, TWINS, A, B, configuration, decide, device, instance, key, seeing


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
    assert first.settled.inputs == {NAME: ("foo0", foo, published)}


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


# What needs no decision


CLAIMED = {"cameras-8120fe-0": "node-b", "cameras-8120fe-1": ""}


@pytest.mark.parametrize(
    ("after", "quiet"),
    [
        (instance("foo0"), True),
        (evolve(instance("foo0"), device_usage=CLAIMED), True),
        (evolve(instance("foo0"), device_usage={**CLAIMED, "cameras-8120fe-2": ""}), False),
        (evolve(instance("foo0"), device_usage={"cameras-8120fe-0": ""}), False),
        (evolve(instance("foo0"), nodes=()), False),
        (evolve(instance("foo0"), capacity=3), False),
        (evolve(instance("foo0"), broker_properties={}), False),
        (evolve(instance("foo0"), metadata=evolve(instance("foo0").metadata, revision=99, generation=99)), True),
        (evolve(instance("foo0"), metadata=evolve(instance("foo0").metadata, deleting=True)), False),
        (evolve(instance("foo0"), metadata=evolve(instance("foo0").metadata, annotations={})), False),
    ],
)
def test_a_claim_alone_needs_no_decision(after: Instance, quiet: bool) -> None:
    assert only_claimed(instance("foo0"), after) is quiet


@pytest.mark.parametrize(("text", "quiet"), [("node-b", True), ("", False), ("node-a", False)])
def test_a_slot_that_is_freed_or_changes_hands_needs_a_decision(text: str, quiet: bool) -> None:
    before = evolve(instance("foo0"), device_usage=CLAIMED)
    assert only_claimed(before, evolve(before, device_usage={**CLAIMED, "cameras-8120fe-0": text})) is quiet
