"""The kubelet's choice of devices: its properties, and its very words when it refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.errors import DeviceUnavailableError
from akri.core.ids import ObjectKey, PluginDeviceId, ResourceName
from akri.deviceplugin.devices import (
    STOP_GRACE,
    Allocation,
    Choice,
    ContainerRequest,
    Ledger,
    PodRequest,
    ResourceState,
    TokenBucket,
    choose,
    complete,
    list_pods,
    merge_edits,
    reusable_after,
)
from akri.deviceplugin.wire import ListedContainer, ListedPod, PreferredQuery

R = ResourceName("akri.sh/r")
OTHER = ResourceName("akri.sh/o")
NONE: frozenset[PluginDeviceId] = frozenset()


def ids(*names: str) -> tuple[PluginDeviceId, ...]:
    return tuple(PluginDeviceId(name) for name in names)


def some(*names: str) -> frozenset[PluginDeviceId]:
    return frozenset(ids(*names))


def state(healthy: str = "", unhealthy: str = "") -> ResourceState:
    return ResourceState({**dict.fromkeys(ids(*healthy), True), **dict.fromkeys(ids(*unhealthy), False)})


def chosen(
    listed: ResourceState,
    count: int,
    *,
    present: frozenset[PluginDeviceId] = NONE,
    reusable: frozenset[PluginDeviceId] = NONE,
    in_use: frozenset[PluginDeviceId] = NONE,
) -> Choice:
    return choose(R, listed, count=count, present=present, reusable=reusable, in_use=in_use)


def allocation(uid: str, container: str, names: str, resource: ResourceName = R) -> Allocation:
    return Allocation(uid, container, resource, ids(*names), ContainerEdits({resource: names}))


def test_enough_devices_ask_the_plugin_about_all_that_are_free() -> None:
    assert chosen(state("abc", "d"), 1, in_use=some("b")) == Choice((), PreferredQuery(ids("a", "c"), (), 1))


def test_reusable_devices_come_first_and_may_be_in_use_or_unhealthy() -> None:
    assert chosen(state("a", "b"), 1, reusable=some("b"), in_use=some("a", "b")) == Choice(ids("b"))


def test_what_is_missing_besides_reusable_devices_is_asked_for() -> None:
    expected = Choice(ids("a"), PreferredQuery(ids("a", "b", "c"), ids("a"), 2))
    assert chosen(state("abc"), 2, reusable=some("a"), in_use=some("a")) == expected


def test_a_container_that_has_its_devices_needs_nothing() -> None:
    assert chosen(state("ab"), 1, present=some("a"), in_use=some("a", "b")) == Choice(())


def test_nothing_asked_for_is_nothing_chosen() -> None:
    assert chosen(state("a"), 0) == Choice(())


@pytest.mark.parametrize(
    ("listed", "count", "present", "in_use", "message"),
    [
        (state("", "a"), 1, "", "", "no healthy devices present; cannot allocate unhealthy devices akri.sh/r"),
        (state(), 1, "", "", "no healthy devices present; cannot allocate unhealthy devices akri.sh/r"),
        (state("b", "a"), 1, "a", "a", "previously allocated devices are no longer healthy; cannot allocate unhealthy devices akri.sh/r"),
        (state("ab"), 2, "a", "a", "the request for resource 'akri.sh/r' changed from 1 to 2"),
        (state("ab"), 2, "", "a", "requested number of devices unavailable for akri.sh/r. Requested: 2, Available: 1"),
        (state("ab"), 3, "", "", "requested number of devices unavailable for akri.sh/r. Requested: 3, Available: 2"),
    ],
)
def test_a_refusal_has_the_kubelets_words(listed: ResourceState, count: int, present: str, in_use: str, message: str) -> None:
    with pytest.raises(DeviceUnavailableError) as refused:
        chosen(listed, count, present=some(*present), in_use=some(*in_use))
    assert str(refused.value) == message


def test_a_preference_counts_as_far_as_it_may_be_had() -> None:
    choice = Choice(ids("a"), PreferredQuery(ids("a", "b", "c", "d"), ids("a"), 3))
    assert complete(choice, ids("z", "d", "d", "a"), [0.5, 0.1, 0.9]) == ids("a", "d", "c")
    assert complete(choice, (), [0.5, 0.1, 0.9]) == ids("a", "c", "b")
    assert complete(choice, ids("d", "c", "b"), [0.5, 0.1, 0.9]) == ids("a", "d", "c")


def test_a_choice_without_a_question_is_complete() -> None:
    assert complete(Choice(ids("a")), ids("b"), ()) == ids("a")


@given(st.data())
def test_a_choice_takes_what_was_asked_for_and_nothing_else(data: st.DataObject) -> None:
    names = st.frozensets(st.sampled_from(ids(*"abcdefgh")))
    listed = ResourceState({device: data.draw(st.booleans()) for device in data.draw(names)})
    in_use, reusable, count = data.draw(names), data.draw(names), data.draw(st.integers(0, 9))
    try:
        choice = chosen(listed, count, reusable=reusable, in_use=in_use | reusable)
    except DeviceUnavailableError:
        free = listed.healthy - in_use - reusable
        assert not listed.healthy or len(free) + len(reusable) < count
        return
    draw: Sequence[float] = data.draw(st.lists(st.floats(0, 0.99), min_size=8, max_size=8))
    taken = complete(choice, data.draw(st.lists(st.sampled_from(ids(*"abcdefgh")))), draw)
    assert len(taken) == len(set(taken)) == count
    assert set(taken) <= (listed.healthy - in_use) | reusable
    assert count <= len(reusable) or reusable <= set(taken)


def test_an_init_container_passes_its_devices_on_and_others_keep_theirs() -> None:
    assert reusable_after(some("a"), ids("b"), passed_on=True) == some("a", "b")
    assert reusable_after(some("a", "b"), ids("b"), passed_on=False) == some("a")


def test_a_stopped_plugin_has_only_unhealthy_devices_and_after_the_grace_none() -> None:
    stopped = state("ab", "c").stopped(100.0)
    assert stopped == ResourceState(dict.fromkeys(ids("a", "b", "c"), False), 100.0)
    assert (stopped.allocatable, stopped.healthy) == (0, NONE)
    assert stopped.capacity(100.0 + STOP_GRACE) == 3
    assert stopped.capacity(100.1 + STOP_GRACE) == 0
    assert state("ab", "c").capacity(1e9) == 3
    assert state("ab", "c").allocatable == 2


def test_the_ledger_knows_containers_resources_and_pods() -> None:
    ledger = Ledger().add(allocation("1", "m", "ab")).add(allocation("1", "m", "o", OTHER)).add(allocation("2", "m", "c"))
    assert ledger.in_use(R) == some("a", "b", "c")
    assert ledger.of("1", "m") == (allocation("1", "m", "ab"), allocation("1", "m", "o", OTHER))
    assert ledger.of("1", "n") == ()
    assert ledger.keep({"2", "3"}) == Ledger((allocation("2", "m", "c"),))
    assert ledger.keep({"1", "2"}) is ledger


def test_of_equal_names_the_first_counts() -> None:
    first = ContainerEdits({"A": "1", "B": "1"}, (Mount("/m", "/1"),), (DeviceNode("/d", "/1"),))
    second = ContainerEdits({"B": "2", "C": "2"}, (Mount("/m", "/2"), Mount("/n", "/2")), (DeviceNode("/d", "/2"), DeviceNode("/e", "/2")))
    merged = merge_edits([first, second])
    assert merged.environment == {"A": "1", "B": "1", "C": "2"}
    assert set(merged.mounts) == {Mount("/m", "/1"), Mount("/n", "/2")}
    assert set(merged.device_nodes) == {DeviceNode("/d", "/1"), DeviceNode("/e", "/2")}
    assert merge_edits([]) == ContainerEdits()
    assert merge_edits([first]) == first


def test_a_list_leaves_plain_init_containers_out() -> None:
    init = (ContainerRequest("init"), ContainerRequest("side", sidecar=True))
    pods = [
        PodRequest(ObjectKey("n", "p"), "1", (ContainerRequest("main"), ContainerRequest("bare")), init),
        PodRequest(ObjectKey("n", "q"), "2", (ContainerRequest("main"),)),
    ]
    ledger = Ledger(
        (
            allocation("1", "init", "i"),
            allocation("1", "side", "s"),
            allocation("1", "main", "ab"),
            allocation("1", "main", "o", OTHER),
            allocation("gone", "main", "g"),
        )
    )
    a, b, o, s = ids("a", "b", "o", "s")
    main = ListedContainer("main", ((R, a), (R, b), (OTHER, o)))
    assert list_pods(pods, ledger) == (
        ListedPod(ObjectKey("n", "p"), (ListedContainer("side", ((R, s),)), main, ListedContainer("bare"))),
        ListedPod(ObjectKey("n", "q"), (ListedContainer("main"),)),
    )


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=100.0, burst=2.0, tokens=2.0, at=5.0)
    results: list[bool] = []
    for now in (5.0, 5.0, 5.0, 5.005, 5.015, 5.015, 9.0, 9.0, 9.0):
        bucket, allowed = bucket.take(now)
        results.append(allowed)
    assert results == [True, True, False, False, True, False, True, True, False]


class Node(RuleBasedStateMachine):
    """Pods come and go, device lists change: no device is given to two pods."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = ResourceState()
        self.ledger = Ledger()
        self.pods: set[str] = set()
        self.born = 0

    @rule(devices=st.dictionaries(st.sampled_from(ids(*"abcdef")), st.booleans()))
    def list_devices(self, devices: dict[PluginDeviceId, bool]) -> None:
        self.listed = ResourceState(devices)

    @rule(init=st.integers(0, 2), main=st.integers(0, 3), second=st.integers(0, 2), draw=st.floats(0, 0.99))
    def admit(self, init: int, main: int, second: int, draw: float) -> None:
        uid, before, reusable = str(self.born), self.ledger, NONE
        self.born += 1
        try:
            for container, count in (("init", init), ("main", main), ("second", second)):
                choice = chosen(self.listed, count, reusable=reusable, in_use=self.ledger.in_use(R))
                taken = complete(choice, (), [draw] * 6)
                assert len(taken) == count
                self.ledger = self.ledger.add(Allocation(uid, container, R, taken, ContainerEdits()))
                reusable = reusable_after(reusable, taken, passed_on=container == "init")
        except DeviceUnavailableError:
            self.ledger = before
        else:
            self.pods.add(uid)

    @precondition(lambda self: self.pods)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.pods.remove(data.draw(st.sampled_from(sorted(self.pods))))
        self.ledger = self.ledger.keep(self.pods)

    @invariant()
    def no_device_has_two_pods(self) -> None:
        owners: dict[PluginDeviceId, str] = {}
        for entry in self.ledger.allocations:
            for device in entry.ids:
                assert owners.setdefault(device, entry.uid) == entry.uid

    @invariant()
    def no_device_has_two_main_containers(self) -> None:
        used = [device for entry in self.ledger.allocations if entry.container != "init" for device in entry.ids]
        assert len(used) == len(set(used))


TestNode = Node.TestCase
