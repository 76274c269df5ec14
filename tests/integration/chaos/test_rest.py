"""What is not at rest is found: each scene here has one thing that should not be so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from akri.core.ids import ConfigurationName, NodeName, ObjectKey
from akri.core.instance import ANNOTATION_DEVICE_ID, ANNOTATION_DEVICE_NODE, Instance
from akri.core.metadata import ObjectMeta
from akri.platforms.local.objects import Node, Pod
from akri.scheduling.model import Phase
from tests.integration.chaos.history import Device, Life
from tests.integration.chaos.settled import Scene, unsettled, waiting
from tests.integration.chaos.world import NODES, pod_spec

STICK = ObjectKey("default", "local-aaaaaa")
ECHO = ObjectKey("default", "echo-bbbbbb")
BROKER, USER, OTHER = (ObjectKey("default", name) for name in ("local-aaaaaa-pod", "one-local-a", "b-echo-bbbbbb-pod"))


def instance(key: ObjectKey, device: str, node: str, **usage: str) -> Instance:
    annotations = {ANNOTATION_DEVICE_ID: device, **({ANNOTATION_DEVICE_NODE: node} if node else {})}
    slots = {f"{key.name}-{slot.removeprefix('s')}": text for slot, text in usage.items()}
    nodes = tuple(map(NodeName, [node] if node else NODES))
    configuration = ConfigurationName(key.name.partition("-")[0])
    return Instance(ObjectMeta(key, f"uid-{key.name}", annotations=annotations), configuration, "", len(slots), not node, nodes, slots)


def pod(key: ObjectKey, node: str, resource: str, of: ObjectKey | None = None) -> Pod:
    spec = pod_spec(["sh"], {f"akri.sh/{resource}": "1"})
    return Pod(ObjectMeta(key, key.name), spec, NodeName(node), bound=True, instance=of, phase=Phase.RUNNING)


GOOD = Scene(
    devices=(Device("local", "stick-a-0", "a"), Device("echo", "foo-0")),
    nodes=tuple(Node(NodeName(name), ready=True, since=0) for name in NODES),
    instances=(instance(STICK, "stick-a-0", "a", s0="a", s1="C:local-0:a"), instance(ECHO, "foo-0", "", s0="b")),
    pods=(pod(BROKER, "a", "local-aaaaaa", STICK), pod(USER, "a", "local"), pod(OTHER, "b", "echo-bbbbbb", ECHO)),
    users=frozenset({USER}),
    lives={
        BROKER.name: Life(1, 1, BROKER.name, BROKER.name, "a", ("AAAAAA-0",)),
        USER.name: Life(1, 2, USER.name, USER.name, "a", ("AAAAAA-1",)),
        OTHER.name: Life(1, 3, OTHER.name, OTHER.name, "b", ("BBBBBB-0",)),
    },
    living=frozenset({1, 2, 3}),
)


def with_pod(index: int, change: Callable[[Pod], Pod]) -> Scene:
    return evolve(GOOD, pods=tuple(change(one) if number == index else one for number, one in enumerate(GOOD.pods)))


def with_stick(**usage: str) -> Scene:
    return evolve(GOOD, instances=(instance(STICK, "stick-a-0", "a", **usage), GOOD.instances[1]))


WAITING = evolve(GOOD.pods[0], phase=Phase.PENDING, bound=False)


def with_users_alone() -> Scene:
    """Give a scene in which pods of users were faster than the broker, and hold both slots of its device."""
    second = pod(ObjectKey("default", "two-local-a"), "a", "local")
    life = Life(1, 1, "two-local-a", "two-local-a", "a", ("AAAAAA-0",))
    scene = with_stick(s0="C:local-1:a", s1="C:local-0:a")
    lives = {key: one for key, one in GOOD.lives.items() if key != BROKER.name}
    return evolve(scene, pods=(WAITING, *GOOD.pods[1:], second), lives={**lives, "two-local-a": life})


WRONG = {
    "a node away": (evolve(GOOD, nodes=GOOD.nodes[1:]), "node a is not ready"),
    "a node not ready": (evolve(GOOD, nodes=(Node(NodeName("a"), ready=False, since=0), *GOOD.nodes[1:])), "node a is not ready"),
    "a device more": (evolve(GOOD, devices=(*GOOD.devices, Device("shared", "x"))), "device ('shared', 'x', '') has 0 Instances"),
    "a device less": (evolve(GOOD, devices=GOOD.devices[:1]), "device ('echo', 'foo-0', '') has 1 Instances"),
    "a node that did not join": (
        evolve(GOOD, instances=(GOOD.instances[0], evolve(GOOD.instances[1], nodes=(NodeName("a"), NodeName("b"))))),
        "Instance echo-bbbbbb is on nodes ['a', 'b'], not on ['a', 'b', 'c']",
    ),
    "a pod of a user away": (evolve(GOOD, users=frozenset({USER, STICK})), "pod default/local-aaaaaa is not there"),
    "a pod that waits": (
        with_pod(1, lambda one: evolve(one, phase=Phase.PENDING)),
        "pod default/one-local-a on a is Pending",
    ),
    "a pod between two starts": (
        with_pod(1, lambda one: evolve(one, reason="CrashLoopBackOff", message="in 10 s")),
        "pod default/one-local-a on a is Running CrashLoopBackOff in 10 s",
    ),
    "a pod that runs in words alone": (
        evolve(GOOD, living=frozenset({1, 3})),
        "pod default/one-local-a on a is said to run, and no process of it does",
    ),
    "a process of no pod": (
        evolve(GOOD, lives={**GOOD.lives, "gone": Life(1, 4, "gone", "gone-pod", "a")}, living=frozenset({1, 2, 3, 4})),
        "process 4 runs for pod gone-pod (gone), which is not there",
    ),
    "a broker that waits beside a free slot": (
        evolve(
            GOOD, pods=(WAITING, *GOOD.pods[1:]), instances=(instance(STICK, "stick-a-0", "a", s0="", s1="C:local-0:a"), GOOD.instances[1])
        ),
        "pod default/local-aaaaaa-pod on a is Pending",
    ),
    "a broker that waits for a slot that its node holds for nobody": (
        evolve(GOOD, pods=(WAITING, *GOOD.pods[1:])),
        "Instance local-aaaaaa: node a holds 1 slots through its Instance, and 0 are in use",
    ),
    "a broker that a node took and did not start": (
        evolve(with_users_alone(), pods=(evolve(WAITING, bound=True), *with_users_alone().pods[1:])),
        "pod default/local-aaaaaa-pod on a is Pending",
    ),
    "a slot held by nothing": (
        with_stick(s0="a", s1="a"),
        "Instance local-aaaaaa: node a holds 2 slots through its Instance, and 1 are in use",
    ),
    "a slot held by the wrong node": (
        with_stick(s0="b", s1="C:local-0:a"),
        "Instance local-aaaaaa: node a holds 0 slots through its Instance",
    ),
    "a slot that is used and free": (with_stick(s0="a", s1=""), "Instance local-aaaaaa: node a holds 0 slots through its Configuration"),
}


def test_a_good_scene_is_at_rest() -> None:
    assert unsettled(GOOD) == ()


def test_a_broker_waits_while_pods_of_users_have_all_slots_of_its_device() -> None:
    scene = with_users_alone()
    assert unsettled(scene) == ()
    assert waiting(scene) == (WAITING,)


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_not_at_rest_is_said(fault: str) -> None:
    scene, expected = WRONG[fault]
    assert any(problem.startswith(expected) for problem in unsettled(scene)), unsettled(scene)


def test_a_broker_too_few_is_said() -> None:
    problems = unsettled(evolve(GOOD, pods=GOOD.pods[:2], lives={key: life for key, life in GOOD.lives.items() if life.pid < 3}))
    assert problems == (
        "Instance echo-bbbbbb has 0 brokers, not 1",
        "Instance echo-bbbbbb: node b holds 1 slots through its Instance, and 0 are in use",
    )
