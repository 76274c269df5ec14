"""How requests are read, and how faults are chosen: by order and at random."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.cluster.proxy_faults import Answer, AtRandom, Call, Chance, CutWatch, Delay, DropAnswer, DropRequest, Late, Orders

ITEM = "/apis/akri.sh/v0/namespaces/default/instances/cam-8120fe"
PATCH = Call("patch", "instances", "default", "cam-8120fe")
WATCH = Call("watch", "instances")


@pytest.mark.parametrize(
    ("method", "path", "query", "call"),
    [
        ("GET", ITEM, {}, Call("get", "instances", "default", "cam-8120fe")),
        ("PATCH", ITEM, {"fieldManager": "akri"}, PATCH),
        ("PATCH", f"{ITEM}/status", {}, Call("patch", "instances", "default", "cam-8120fe", "status")),
        ("DELETE", ITEM, {}, Call("delete", "instances", "default", "cam-8120fe")),
        ("GET", "/apis/akri.sh/v0/instances", {"limit": "500"}, Call("list", "instances")),
        ("GET", "/apis/akri.sh/v0/instances", {"watch": "1"}, WATCH),
        ("GET", "/apis/akri.sh/v0/instances", {"watch": "false"}, Call("list", "instances")),
        ("GET", "/api/v1/pods", {"watch": "true"}, Call("watch", "pods")),
        ("GET", "/api/v1/namespaces/default/pods", {}, Call("list", "pods", "default")),
        ("POST", "/api/v1/namespaces/default/events", {}, Call("create", "events", "default")),
        ("PUT", "/api/v1/namespaces/a/secrets/b", {}, Call("replace", "secrets", "a", "b")),
        ("GET", "/api/v1/namespaces/default", {}, Call("get", "namespaces", "", "default")),
        ("PATCH", "/api/v1/namespaces/default/status", {}, Call("patch", "namespaces", "", "default", "status")),
        ("POST", "/api/v1/namespaces/a/serviceaccounts/b/token", {}, Call("create", "serviceaccounts", "a", "b", "token")),
        ("GET", "/version", {}, Call("get")),
        ("GET", "/api/v1", {}, Call("get")),
    ],
)
def test_request_is_read_as_the_server_does(method: str, path: str, query: dict[str, str], call: Call) -> None:
    assert Call.of(method, path, query) == call


def test_orders_are_met_oldest_first_and_once() -> None:
    orders = Orders()
    orders.add(DropAnswer(), verb="patch", resource="instances")
    orders.add(DropRequest())
    orders.add(Delay(1.0), name="other")
    assert orders.next(Call("patch", "pods")) == DropRequest()
    assert orders.next(PATCH) == DropAnswer()
    assert orders.next(PATCH) is None
    assert orders.open == 1
    orders.clear()
    assert orders.open == 0


def test_faults_of_watches_wait_for_a_watch() -> None:
    orders = Orders()
    orders.add(CutWatch())
    assert orders.next(PATCH) is None
    assert orders.next(WATCH) == CutWatch()


def test_random_faults_come_as_often_as_they_should_and_where_they_should() -> None:
    chances = (Chance(0.2, DropAnswer(), verb="patch"), Chance(0.1, Answer(500)), Chance(0.5, CutWatch()))
    random = AtRandom(7, chances)
    patches = Counter(random.next(PATCH) for _ in range(10_000))
    reads = Counter(random.next(Call("get", "instances")) for _ in range(10_000))
    watches = Counter(random.next(WATCH) for _ in range(10_000))
    assert abs(patches[DropAnswer()] - 2000) < 200
    assert abs(patches[Answer(500)] - 1000) < 150
    assert set(reads) == {Answer(500), None}
    assert abs(watches[CutWatch()] - 5000) < 300
    assert CutWatch() not in patches


def test_random_faults_are_the_same_for_a_seed_and_can_be_made_of_random_numbers() -> None:
    chances = (Chance(0.5, lambda random: Late(random.uniform(0.1, 0.9))),)
    first, second, other = (AtRandom(seed, chances) for seed in (1, 1, 2))
    drawn = [first.next(PATCH) for _ in range(50)]
    assert drawn == [second.next(PATCH) for _ in range(50)] != [other.next(PATCH) for _ in range(50)]
    assert all(0.1 <= fault.seconds <= 0.9 for fault in drawn if isinstance(fault, Late))


def test_random_faults_can_be_switched_off() -> None:
    random = AtRandom(1, (Chance(1.0, DropRequest()),))
    assert random.next(PATCH) == DropRequest()
    random.active = False
    assert random.next(PATCH) is None
