"""What a lost store takes over from the records beside it: whatever was held stays held, and nothing comes back that was deleted."""

from __future__ import annotations

from akri.core.configuration import Configuration, DiscoveryRequest
from akri.core.ids import ConfigurationName, HandlerName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import ObjectMeta, OwnerReference
from akri.platforms.local.identity import Identities
from akri.platforms.local.kinds import Collections
from akri.platforms.local.objects import Job, Pod
from akri.platforms.local.sqlite.restoring import LEAP, Records, newest_revision, restore
from akri.platforms.local.tables import Tables
from akri.testing.clock import VirtualClock

A, B = NodeName("node-a"), NodeName("node-b")
CAM = Configuration(ObjectMeta(ObjectKey("default", "cam"), "uid-cam", 3, 2), DiscoveryRequest(HandlerName("udev")), 2)
KEY = ObjectKey("default", "cam-8120fe")


def tables() -> Tables:
    clock = VirtualClock()
    collections = Collections(clock)
    return Tables(collections, collections.events, Identities(clock))


def owner(kind: str, name: str, uid: str) -> OwnerReference:
    return OwnerReference("akri.sh/v0", kind, name, uid, controller=True)


def instance(revision: int, *, uid: str = "uid-instance", **usage: str) -> Instance:
    metadata = ObjectMeta(KEY, uid, revision, owners=(owner("Configuration", "cam", "uid-cam"),))
    held = {f"cam-8120fe-{index}": usage.get(f"s{index}", "") for index in range(3)}
    return Instance(metadata, ConfigurationName("cam"), "akri.sh/cam=8120fe", 3, True, (A, B), held)  # noqa: FBT003 - shared


def pod(name: str, revision: int, node: NodeName = A, owned_by: OwnerReference | None = None) -> Pod:
    owners = (owned_by or owner("Instance", KEY.name, "uid-instance"),)
    return Pod(ObjectMeta(ObjectKey("default", name), f"uid-{name}", revision, owners=owners), {}, node, bound=True, instance=KEY)


def usage(store: Tables) -> dict[str, str]:
    stored = store.instance(KEY)
    return {} if stored is None else {slot[-1]: text for slot, text in stored.device_usage.items() if text}


def test_a_new_store_gets_everything_with_its_identity_and_later_revisions() -> None:
    store = tables()
    records = Records((CAM,), (instance(10, s0="node-a"),), (), (pod("broker", 9),))
    restore(store, records, 0)
    assert newest_revision(records) == 10
    stored = store.configuration(CAM.key)
    assert stored is not None
    assert (stored.metadata.uid, stored.metadata.generation) == ("uid-cam", 2)
    entries = [*store.configurations.entries(), *store.instances.entries(), *store.rows.pods.entries(), *store.nodes.entries()]
    assert [entry.uid for entry in entries[:3]] == ["uid-cam", "uid-instance", "uid-broker"]
    assert min(entry.revision for entry in entries) > LEAP
    assert len({entry.revision for entry in entries}) == 4
    assert [(entry.value.name, entry.value.ready) for entry in store.nodes.entries()] == [(A, False)]


def test_a_slot_is_held_that_any_record_holds_and_the_latest_says_by_whom() -> None:
    store = tables()
    early, late = instance(10, s0="node-a", s1="node-a"), instance(20, s1="node-b")
    restore(store, Records((CAM,), (late, early)), 0)
    assert usage(store) == {"0": "node-a", "1": "node-b"}


def test_a_store_that_lost_its_last_changes_gets_those_alone() -> None:
    store = tables()
    restore(store, Records((CAM,), (instance(10, s0="node-b"),)), 0)
    known = store.identities.last
    records = Records(
        (CAM,), (instance(5, s1="node-a"), instance(known + 1, s0="node-a", s2="node-a")), (), (pod("old", 9), pod("new", known + 2))
    )
    restore(store, records, known)
    assert usage(store) == {"0": "node-b", "2": "node-a"}
    assert [entry.key.name for entry in store.rows.pods.entries()] == ["new"]
    assert store.identities.last > known + LEAP


def test_what_belongs_to_something_that_is_gone_goes() -> None:
    store = tables()
    orphan = pod("orphan", 9, owned_by=owner("Job", "job", "uid-of-a-job-that-is-gone"))
    job = Job(ObjectMeta(ObjectKey("default", "kept"), "uid-kept", 8, owners=(owner("Instance", KEY.name, "uid-instance"),)), {}, KEY)
    kept = pod("kept", 9, owned_by=owner("Job", "kept", "uid-kept"))
    restore(store, Records((CAM,), (instance(10),), (job,), (orphan, kept)), 0)
    pods = {entry.key.name: entry.value.metadata.deleting for entry in store.rows.pods.entries()}
    assert pods == {"orphan": True, "kept": False}
    restore(other := tables(), Records((), (instance(10, s0="node-a"),), (), (pod("broker", 9),)), 0)
    assert other.instance(KEY) is None
    assert [entry.value.metadata.deleting for entry in other.rows.pods.entries()] == [True]


def test_an_instance_that_was_made_again_is_left_alone() -> None:
    store = tables()
    restore(store, Records((CAM,), (instance(10, uid="uid-second"),)), 0)
    known = store.identities.last
    restore(store, Records((), (instance(known + 1, s0="node-a"),)), known)
    assert usage(store) == {}


def test_nothing_at_all_begins_at_nought() -> None:
    store = tables()
    restore(store, Records(), 0)
    assert store.identities.revision() == 1
