"""How writes to Instances end, whatever the server answers: one request where all is well, and no request twice that may have counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from attrs import define, evolve

from akri.core.codec import print_instance
from akri.core.errors import OutcomeUnknownError
from akri.core.ids import ConfigurationName, InstanceName, NodeName, ObjectKey, SlotId
from akri.core.instance import Instance
from akri.core.metadata import JsonObject, ObjectMeta, OwnerReference
from akri.core.usage import HeldByNode
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from akri.ports import Done, Outcome, Refusal, Refused, Unknown
from tests.unit.platforms.kubernetes.scripted_server import CUT, Answer, ImpatientClock, ScriptedServer, listed, status

ME, OTHER = NodeName("node-a"), NodeName("node-b")
KEY = ObjectKey("default", "cam-8120fe")
SLOT = SlotId(InstanceName("cam-8120fe"), 0)
MINE = HeldByNode(ME)
OWNER = OwnerReference("akri.sh/v0", "Configuration", "cam", "c1", controller=True)
FREE = Instance(
    ObjectMeta(KEY, uid="u1", revision=5, owners=(OWNER,)),
    ConfigurationName("cam"),
    "akri.sh/cam=8120fe",
    2,
    shared=True,
    nodes=(ME, OTHER),
    device_usage={"cam-8120fe-0": "", "cam-8120fe-1": ""},
)
HELD = evolve(FREE, metadata=evolve(FREE.metadata, revision=6), device_usage={"cam-8120fe-0": "node-b", "cam-8120fe-1": ""})
CLAIMED = evolve(HELD, device_usage={"cam-8120fe-0": "node-a", "cam-8120fe-1": ""})
WITHOUT_KEYS = evolve(FREE, device_usage={})
TEST_FAILED = status(422, "Invalid", "the server rejected our request due to an error in our request")
CONFLICT = status(409, "Conflict", "the object has been modified")
NOT_FOUND = status(404, "NotFound", "not found")
DELETED: Answer = (200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})


def ok(instance: Instance) -> Answer:
    return 200, print_instance(instance)


@define(eq=False)
class Node:
    """A node's platform before a server that says what it is told."""

    server: ScriptedServer
    platform: KubernetesNodePlatform

    async def claim(self) -> Outcome:
        return await self.platform.claim(KEY, SLOT, MINE)


@pytest_asyncio.fixture
async def node() -> AsyncGenerator[Node]:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        yield Node(server, KubernetesNodePlatform(client, ME, clock))


async def test_a_claim_is_one_request_under_the_name_of_all_agents(node: Node) -> None:
    node.server.answer(ok(CLAIMED))
    assert await node.claim() == Done(CLAIMED)
    [asked] = node.server.asked
    assert (asked.method, asked.path) == ("PATCH", "/apis/akri.sh/v0/namespaces/default/instances/cam-8120fe")
    assert (asked.content_type, asked.query) == ("application/json-patch+json", {"fieldManager": "akri-agent"})
    assert asked.body == [
        {"op": "test", "path": "/spec/deviceUsage/cam-8120fe-0", "value": ""},
        {"op": "replace", "path": "/spec/deviceUsage/cam-8120fe-0", "value": "node-a"},
    ]


async def test_a_claim_of_a_held_slot_is_read_once_and_names_the_holder(node: Node) -> None:
    node.server.answer(TEST_FAILED, ok(HELD))
    assert await node.claim() == Refused(Refusal.CONFLICT, "slot cam-8120fe-0 is held by node-b", HELD)
    assert node.server.methods == ["PATCH", "GET"]


async def test_a_missing_key_is_claimed_at_the_revision_that_was_read(node: Node) -> None:
    node.server.answer(TEST_FAILED, ok(WITHOUT_KEYS), ok(CLAIMED))
    assert await node.claim() == Done(CLAIMED)
    assert node.server.methods == ["PATCH", "GET", "PATCH"]
    assert node.server.asked[2].body == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "add", "path": "/spec/deviceUsage/cam-8120fe-0", "value": "node-a"},
    ]


async def test_a_slot_that_is_freed_meanwhile_is_claimed_after_all(node: Node) -> None:
    node.server.answer(TEST_FAILED, ok(FREE), TEST_FAILED, ok(HELD))
    outcome = await node.claim()
    assert isinstance(outcome, Refused)
    assert outcome.instance == HELD
    node.server.answers.clear()
    node.server.answer(TEST_FAILED, ok(FREE), ok(CLAIMED))
    assert await node.claim() == Done(CLAIMED)


async def test_what_the_state_does_not_explain_is_the_schema_or_a_policy_that_errs(node: Node) -> None:
    node.server.answer(TEST_FAILED, ok(FREE), status(422, "Invalid", "expression 'x' resulted in error"), ok(FREE))
    assert await node.claim() == Refused(Refusal.INVALID, "expression 'x' resulted in error", FREE)
    assert node.server.methods == ["PATCH", "GET", "PATCH", "GET"]


async def test_a_race_with_other_writers_is_tried_again(node: Node) -> None:
    node.server.answer(CONFLICT, CONFLICT, CONFLICT, ok(CLAIMED))
    assert await node.claim() == Done(CLAIMED)
    assert node.server.methods == ["PATCH"] * 4


@pytest.mark.parametrize("refusal", [CONFLICT, status(401, "Unauthorized")])
async def test_a_race_that_does_not_end_is_given_up(node: Node, refusal: Answer) -> None:
    node.server.answer(refusal)
    outcome = await node.claim()
    # The last read is refused too, so whether the Instance is as it was nobody knows.
    assert isinstance(outcome, Unknown)
    assert 5 < len(node.server.asked) < 100


async def test_a_server_that_takes_nothing_leaves_the_outcome_open_and_is_not_asked_more(node: Node) -> None:
    node.server.answer(status(429, "TooManyRequests"))
    assert isinstance(await node.claim(), Unknown)
    assert set(node.server.methods) == {"PATCH"}


async def test_nobody_waits_longer_than_an_admission_does() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        platform = KubernetesNodePlatform(client, ME, clock)
        for answers in ([CONFLICT], [status(429)], [status(503)], [status(401)], [TEST_FAILED, status(429)]):
            server.answers.clear()
            server.answer(*answers)
            began = clock.now()
            assert isinstance(await platform.claim(KEY, SLOT, MINE), Unknown)
            assert clock.now() - began < 10.0


async def test_a_write_that_only_meets_others_ends_as_a_conflict_with_the_state(node: Node) -> None:
    node.server.answer(*[answer for revision in range(200) for answer in (TEST_FAILED, ok(_at(FREE, revision)))])
    outcome = await node.claim()
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.CONFLICT
    assert outcome.instance is not None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(403, "Forbidden", "ValidatingAdmissionPolicy denied"), Refused(Refusal.FORBIDDEN, "ValidatingAdmissionPolicy denied")),
        (NOT_FOUND, Refused(Refusal.MISSING, "there is no such Instance")),
        (status(413, "RequestEntityTooLarge", "too large"), Refused(Refusal.INVALID, "too large")),
    ],
)
async def test_a_refusal_that_says_all_costs_one_request(node: Node, answer: Answer, expected: Outcome) -> None:
    node.server.answer(answer)
    assert await node.claim() == expected
    assert node.server.methods == ["PATCH"]


@pytest.mark.parametrize("answer", [(CUT, {}), status(500, "InternalError"), status(504, "Timeout"), (200, {"kind": "Instance"})])
async def test_a_write_that_may_have_counted_is_never_sent_twice(node: Node, answer: Answer) -> None:
    node.server.answer(answer)
    assert isinstance(await node.claim(), Unknown)
    assert isinstance(await node.platform.release(CLAIMED, SLOT, MINE), Unknown)
    assert isinstance(await node.platform.fence(KEY), Unknown)
    assert isinstance(await node.platform.create(FREE), Unknown)
    assert node.server.methods == ["PATCH", "PATCH", "PATCH", "POST"]


async def test_a_refusal_whose_reason_cannot_be_read_leaves_the_slot_in_doubt(node: Node) -> None:
    node.server.answer(TEST_FAILED, (CUT, {}))
    assert isinstance(await node.claim(), Unknown)
    assert node.server.methods.count("PATCH") == 1


async def test_without_a_server_nothing_is_known(node: Node) -> None:
    await node.server.stop()
    assert isinstance(await node.claim(), Unknown)
    with pytest.raises(OutcomeUnknownError):
        await node.platform.read_instance(KEY)


async def test_of_two_creations_the_second_is_shown_the_first(node: Node) -> None:
    node.server.answer(status(409, "AlreadyExists", "exists"), ok(HELD))
    assert await node.platform.create(FREE) == Refused(Refusal.EXISTS, "Instance default/cam-8120fe exists", HELD)
    assert node.server.methods == ["POST", "GET"]
    assert node.server.asked[0].path == "/apis/akri.sh/v0/namespaces/default/instances"


async def test_an_instance_that_goes_while_it_is_in_the_way_is_created_after_all(node: Node) -> None:
    alone = evolve(FREE, nodes=(ME,))
    node.server.answer(status(409, "AlreadyExists", "exists"), NOT_FOUND, ok(alone))
    assert await node.platform.create(alone) == Done(alone)
    assert node.server.methods == ["POST", "GET", "POST"]


async def test_joining_twice_is_done(node: Node) -> None:
    node.server.answer(status(422, "Invalid", "Duplicate value"), ok(FREE))
    assert await node.platform.join(KEY, "u1", ME) == Done(FREE)


async def test_joining_another_instance_of_the_name_is_refused(node: Node) -> None:
    node.server.answer(TEST_FAILED, ok(evolve(FREE, metadata=evolve(FREE.metadata, uid="u2"))))
    outcome = await node.platform.join(KEY, "u1", ME)
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.MISSING


async def test_leaving_tests_the_place_that_was_read_and_looks_again(node: Node) -> None:
    left = evolve(FREE, metadata=evolve(FREE.metadata, revision=9), nodes=(OTHER,))
    moved = evolve(FREE, metadata=evolve(FREE.metadata, revision=8), nodes=(OTHER, ME))
    node.server.answer(ok(FREE), TEST_FAILED, ok(moved), ok(left))
    assert await node.platform.leave(KEY, "u1", ME) == Done(left)
    assert node.server.methods == ["GET", "PATCH", "GET", "PATCH"]
    assert node.server.asked[1].body == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/spec/nodes/0", "value": "node-a"},
        {"op": "remove", "path": "/spec/nodes/0"},
    ]


async def test_the_last_node_deletes_what_it_read(node: Node) -> None:
    alone = evolve(FREE, nodes=(ME,))
    newer = _at(alone, 7)
    node.server.answer(ok(alone), CONFLICT, ok(newer), DELETED)
    assert await node.platform.leave(KEY, "u1", ME) == Done(None)
    assert node.server.methods == ["GET", "DELETE", "GET", "DELETE"]
    body = node.server.asked[3].body
    assert isinstance(body, dict)
    assert body["preconditions"] == {"uid": "u1", "resourceVersion": "17"}


async def test_who_finds_nobody_left_after_leaving_deletes_the_instance(node: Node) -> None:
    empty = evolve(_at(FREE, 9), nodes=())
    node.server.answer(ok(FREE), ok(empty), ok(empty), DELETED)
    assert await node.platform.leave(KEY, "u1", ME) == Done(None)
    assert node.server.methods == ["GET", "PATCH", "GET", "DELETE"]


async def test_an_instance_that_finalizers_hold_is_shown_as_deleting(node: Node) -> None:
    alone = evolve(FREE, nodes=(ME,))
    document = print_instance(alone)
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    held: JsonObject = {**document, "metadata": {**metadata, "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["node-x"]}}
    node.server.answer(ok(alone), (200, held))
    outcome = await node.platform.leave(KEY, "u1", ME)
    assert isinstance(outcome, Done)
    assert outcome.instance is not None
    assert outcome.instance.metadata.deleting
    assert node.server.methods == ["GET", "DELETE"]


async def test_leaving_what_is_gone_writes_nothing(node: Node) -> None:
    node.server.answer(NOT_FOUND)
    assert await node.platform.leave(KEY, "u1", ME) == Done(None)
    assert node.server.methods == ["GET"]


async def test_what_goes_while_it_is_left_is_left(node: Node) -> None:
    node.server.answer(ok(FREE), NOT_FOUND)
    assert await node.platform.leave(KEY, "u1", ME) == Done(None)


async def test_an_update_without_a_difference_writes_nothing(node: Node) -> None:
    node.server.answer(ok(FREE))
    assert await node.platform.update(FREE) == Done(FREE)
    assert node.server.methods == ["GET"]


async def test_an_update_writes_what_differs(node: Node) -> None:
    wanted = evolve(FREE, capacity=3, device_usage={**FREE.device_usage, "cam-8120fe-2": ""})
    node.server.answer(ok(FREE), ok(wanted))
    assert await node.platform.update(wanted) == Done(wanted)
    assert node.server.asked[1].body == [
        {"op": "test", "path": "/metadata/uid", "value": "u1"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
        {"op": "test", "path": "/spec/nodes/0", "value": "node-a"},
        {"op": "add", "path": "/spec/capacity", "value": 3},
        {"op": "add", "path": "/spec/deviceUsage", "value": {"cam-8120fe-0": "", "cam-8120fe-1": "", "cam-8120fe-2": ""}},
    ]


async def test_two_fences_never_write_the_same(node: Node) -> None:
    node.server.answer(ok(FREE))
    for _ in range(20):
        assert isinstance(await node.platform.fence(KEY), Done)
    assert len({str(asked.body) for asked in node.server.asked}) == 20


async def test_a_read_tells_nothing_there_from_not_known(node: Node) -> None:
    node.server.answer(ok(HELD), NOT_FOUND, status(403, "Forbidden", "no right"), (200, {"kind": "Instance", "metadata": {"name": "x"}}))
    assert await node.platform.read_instance(KEY) == HELD
    assert await node.platform.read_instance(KEY) is None
    with pytest.raises(OutcomeUnknownError, match="no right"):
        await node.platform.read_instance(KEY)
    with pytest.raises(OutcomeUnknownError, match="spec"):
        await node.platform.read_instance(KEY)


def _at(instance: Instance, revision: int) -> Instance:
    return evolve(instance, metadata=evolve(instance.metadata, revision=revision + 10))
