"""D1, D2, D4, E3, E4: handlers that send nonsense, hang, flood, crash, come back, or are there only after somebody asked for them."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from akri import rpc
from akri.core.errors import RemoteCallError
from akri.core.ids import HandlerName
from akri.core.reports import Reason
from akri.discovery._proto import messages_pb2 as pb
from akri.discovery.allowed import Allowed
from akri.discovery.embedded import embedded_handlers
from akri.discovery.wire import Registration
from akri.testing.clock import VirtualClock
from tests.scenarios.discovering import NODE, configuration, discovering, handler_process, raw_handler, register
from tests.unit.agent.world import agent_world

_GOOD: Final = pb.Device(id="good", properties={"KEY": "value"}).SerializeToString()


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path: a unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="akri-") as path:
        yield Path(path)


def _answer(*devices: bytes, **more: object) -> bytes:
    return pb.DiscoverResponse(devices=devices, **more).SerializeToString(deterministic=True)  # type: ignore[arg-type]


def _once(answer: bytes) -> Callable[[bytes, rpc.Context], Awaitable[None]]:
    async def behave(request: bytes, context: rpc.Context) -> None:
        del request
        await context.write(answer)
        await asyncio.Event().wait()

    return behave


def _device(**fields: object) -> bytes:
    return pb.Device(**fields).SerializeToString(deterministic=True)  # type: ignore[arg-type]


_TWICE = _device(id="twice", properties={"A": "1"}), _device(id="twice", properties={"A": "2"})
_NONSENSE: Final[Mapping[str, tuple[bytes, str, list[str]]]] = {
    "duplicate ids": (_answer(*_TWICE, _GOOD), "device 'twice': the answer holds this id more than once", ["good", "twice"]),
    "10 MB of properties": (_answer(_device(id="big", properties={"A": "x" * 10_000_000}), _GOOD), "at most 4096 characters", ["good"]),
    "many properties": (_answer(_device(id="big", properties={str(n): "" for n in range(100_000)}), _GOOD), "at most 256", ["good"]),
    "control characters": (_answer(_device(id="a\n\x1b[31mb"), _GOOD), "without control characters", ["good"]),
    "no id": (_answer(_device(id=""), _GOOD), "1 to 4096 characters", ["good"]),
    "a path outside /dev": (
        _answer(_device(id="odd", device_specs=[{"container_path": "/etc/shadow", "host_path": "/etc/shadow"}]), _GOOD),
        "device 'odd'.deviceSpecs[0].hostPath: '/etc/shadow' is not allowed on this node: expected a path in /dev",
        ["good"],
    ),
    "a path that climbs": (
        _answer(_device(id="odd", device_specs=[{"container_path": "/dev/x", "host_path": "/dev/../etc/shadow"}]), _GOOD),
        "an absolute path without '..'",
        ["good"],
    ),
    "odd permissions": (
        _answer(_device(id="odd", device_specs=[{"container_path": "/dev/x", "host_path": "/dev/x", "permissions": "rwx"}]), _GOOD),
        "device 'odd'",
        ["good"],
    ),
    "200,000 devices of nothing": (_answer(*[b""] * 200_000), "devices: 200000 is not valid: expected at most 100000", []),
    "no message": (b"\xff\xff\xff", "sent what cannot be read", []),
    "a device that is no message": (_answer(b"\xff\xff\xff"), "sent what cannot be read", []),
    "too large a message": (b"\x0a" + b"\xff" * (65 * 1024 * 1024), "larger than max", []),
}


@pytest.mark.parametrize("nonsense", _NONSENSE)
async def test_d1_nonsense_is_named_by_condition_and_event_and_asked_for_ever_more_rarely(folder: Path, nonsense: str) -> None:
    answer, named, ids = _NONSENSE[nonsense]
    async with discovering(folder) as node, raw_handler(folder, _once(answer)) as handler:
        await register(folder, handler.registration)
        await node.store.apply(configuration())
        await node.until(lambda: named in node.problems() and node.ids() == ids)
        await node.until(lambda: (condition := node.condition()) is not None and named in condition.message)
        await node.until(lambda: any(named in event.message and event.reason is Reason.DISCOVERY_FAILED for event in node.events()))
        await asyncio.sleep(1)
        assert 1 <= len(handler.asked) <= 6
        assert not any("\n" in event.message or "\x1b" in event.message for event in node.events())
        assert len(node.events()) <= 2


_BAD_RULE = "udevRules: ['RUN+=\"rm\"']"


@pytest.mark.parametrize(
    ("handler", "details", "named"),
    [
        ("udev", _BAD_RULE, "udevRules[0]: character 1: 'RUN' is not valid"),
        ("udev", "udevRules: [", "line 1"),
        ("debugEcho", "descriptions: 7", "descriptions"),
        ("debugEcho", "[" * 100_000, "debugEcho"),
        ("debugEcho", "a: &a [*a, *a]", "debugEcho"),
    ],
)
async def test_d1_bad_details_are_named_and_asked_once(folder: Path, handler: str, details: str, named: str) -> None:
    async with discovering(folder, embedded=embedded_handlers(["udev", "debugEcho"])) as node:
        await node.store.apply(configuration(handler=handler, details=details))
        await node.until(lambda: (condition := node.condition()) is not None and named in condition.message and not condition.status)
        await node.until(lambda: any(named in event.message for event in node.events()))
        asked = [report.asked_at for report in node.reports()]
        await asyncio.sleep(1)
        assert [report.asked_at for report in node.reports()] == asked
        await node.store.apply(configuration(handler="debugEcho", details="descriptions: [foo0]"))
        await node.until(lambda: node.ids() == ["foo0"])


async def test_d2_reports_say_who_was_asked_when_and_what_became_of_the_devices(folder: Path) -> None:
    report = pb.Report(candidates=7, dropped={"udevRules[0]: KERNEL": 5, "ipAddresses": 1}, message="seven looked at")
    began = time.time()
    async with discovering(folder) as node, raw_handler(folder, _once(_answer(_GOOD, report=report))) as handler:
        await node.store.apply(configuration())
        await node.until(lambda: "no discovery handler mine is registered on this node; registered: none" in node.problems())
        await node.until(lambda: (condition := node.condition()) is not None and "no discovery handler mine" in condition.message)
        await register(folder, handler.registration)
        await node.until(lambda: [one.devices for one in node.reports()] == [1])
        (said,) = node.reports()
        assert (said.name, said.endpoint, said.candidates) == ("mine", handler.registration.endpoint, 7)
        assert dict(said.dropped) == {"udevRules[0]: KERNEL": 5, "ipAddresses": 1}
        assert (said.message, said.error) == ("seven looked at", "")
        assert began <= said.asked_at <= said.answered_at <= time.time()
        assert [report.node for report in node.store.reports] == [NODE]

        handler.behave = _refuse
        await register(folder, evolve(handler.registration, shared=False))
        await node.until(lambda: "the bus is gone" in node.problems())
        assert node.reports()[0].error.endswith("the bus is gone")


async def _refuse(request: bytes, context: rpc.Context) -> None:
    del request, context
    message = "the bus is gone"
    raise RemoteCallError(message, "UNAVAILABLE")


async def test_d4_another_order_is_no_change(folder: Path) -> None:
    first, second = _device(id="a", properties={"A": "1", "B": "2"}), _device(id="b")
    nodes = [{"container_path": f"/dev/{name}", "host_path": f"/dev/{name}"} for name in "xyz"]
    third, third_too = _device(id="c", device_specs=nodes), _device(id="c", device_specs=nodes[::-1])
    turn = asyncio.Event()

    async def behave(request: bytes, context: rpc.Context) -> None:
        del request
        await context.write(_answer(first, second, third))
        for _ in range(50):
            await turn.wait()
            await context.write(_answer(third_too, second, first))
            await context.write(_answer(second, third, first))
        await asyncio.Event().wait()

    async with discovering(folder) as node, raw_handler(folder, behave) as handler:
        await register(folder, handler.registration)
        await node.store.apply(configuration())
        await node.until(lambda: node.ids() == ["a", "b", "c"] and len(node.store.events) >= 3)
        before, events = node.store.instances, len(node.store.events)
        turn.set()
        await asyncio.sleep(1.5)
        assert node.store.instances == before
        assert len(node.store.events) == events


async def test_e3_a_handler_that_registers_once_in_its_life_is_asked_after_a_restart_of_the_agent(folder: Path) -> None:
    async with AsyncExitStack() as stack:
        async with discovering(folder) as node:
            handler = await stack.enter_async_context(handler_process(folder, "once", "a"))
            await node.store.apply(configuration())
            await node.until(lambda: node.ids() == ["a"])
            store = node.store
        before = store.instances
        for number in range(2):
            async with discovering(folder, store=store) as again:
                handler.say(f"show a {number}")
                # It never registers again, so nothing but the agent's memory leads to it.
                await again.until(lambda again=again, number=number: str(number) in again.ids())  # type: ignore[misc]
        assert store.instances[0] == before[0]


@pytest.mark.parametrize("away", [0.0, 20.0, 40.0])
@pytest.mark.parametrize("remembered", [False, True])
async def test_e4_who_registers_late_is_asked_within_half_a_second(folder: Path, away: float, *, remembered: bool) -> None:
    clock = VirtualClock(pause=0.02)
    async with agent_world(clock=clock) as it:
        registration = Registration(HandlerName("mine"), str(folder / "mine.sock"), network=False, shared=True)
        if remembered:  # it is asked in vain, ever more rarely
            it.agent.register(registration)
        await it.store.apply(configuration())
        await clock.advance(away)
        async with raw_handler(folder, _once(_answer(_GOOD))) as handler:
            virtual, real = clock.now(), time.monotonic()
            it.agent.register(registration)
            await clock.run_until(lambda: len(handler.asked) == 1, 0.5)
            assert clock.now() - virtual <= 0.5
            assert handler.asked[0] - real <= 0.5
            await clock.run_until(lambda: len(it.store.instances) == 1)


async def test_a_handler_that_hangs_before_its_first_answer_is_reported_with_the_time_since_when(folder: Path) -> None:
    async def hang(request: bytes, context: rpc.Context) -> None:
        del request, context
        await asyncio.Event().wait()

    clock = VirtualClock(pause=0.02)
    async with agent_world(clock=clock) as it, raw_handler(folder, hang) as handler:
        it.agent.register(handler.registration)
        await it.store.apply(configuration())
        await clock.run_until(lambda: len(handler.asked) == 1)
        asked_at = clock.wall()
        await clock.advance(12)
        (report,) = it.store.reports[0].handlers
        assert abs(report.asked_at - asked_at) < 1
        since = datetime.fromtimestamp(report.asked_at, UTC).isoformat(timespec="seconds")
        assert report.message == f"no answer since it was asked at {since}: it has nothing to say yet, or it hangs"
        assert (report.answered_at, report.error, len(handler.asked)) == (0.0, "", 1)


async def test_a_socket_that_takes_connections_and_says_nothing_is_reported(folder: Path) -> None:
    """A process that is stopped looks like this: the kernel takes the connection for it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "mine.sock"))
        listener.listen(100)
        async with discovering(folder) as node:
            await register(folder, Registration(HandlerName("mine"), str(folder / "mine.sock"), network=False, shared=True))
            await node.store.apply(configuration())
            await node.until(lambda: bool(node.reports()) and "no answer since it was asked at" in node.reports()[0].message)
            await node.until(lambda: "UNAVAILABLE" in node.problems() or "Unavailable" in node.problems())
            (report,) = node.reports()
            assert (report.answered_at, report.devices, node.ids()) == (0.0, 0, [])


async def test_a_handler_that_floods_is_held_up_and_its_last_word_counts(folder: Path) -> None:
    sent = 0

    async def flood(request: bytes, context: rpc.Context) -> None:
        nonlocal sent
        del request
        while True:
            sent += 1
            await context.write(_answer(_GOOD, _device(id="counter", properties={"N": str(sent), "TEXT": "x" * 2000})))

    async with discovering(folder) as node, raw_handler(folder, flood) as handler:
        await register(folder, handler.registration)
        await node.store.apply(configuration())
        await node.until(lambda: node.ids() == ["counter", "good"])
        await asyncio.sleep(1)
        before, spent = sent, time.process_time()
        await asyncio.sleep(3)
        # A handler that were read without end would send tens of thousands.
        assert sent - before < 1000
        assert time.process_time() - spent < 2.5
        assert len(node.events()) == 0


async def test_a_handler_that_crashes_again_and_again_costs_no_device_and_no_peace(folder: Path) -> None:
    async with discovering(folder) as node:
        await node.store.apply(configuration())
        async with handler_process(folder, "a", "b"):
            await node.until(lambda: node.ids() == ["a", "b"])
        before = node.store.instances
        for _ in range(3):
            async with handler_process(folder, "a", "b") as handler:
                began = time.time()
                await node.until(lambda began=began: node.reports()[0].asked_at > began and not node.problems())  # type: ignore[misc]
                handler.send(signal.SIGKILL)
                await node.until(lambda: "discovery handler mine" in node.problems())
        assert node.store.instances == before
        assert len(node.events()) <= 8


async def test_a_handler_that_is_stopped_and_goes_on_loses_nothing(folder: Path) -> None:
    async with discovering(folder) as node, handler_process(folder, "a") as handler:
        await node.store.apply(configuration())
        await node.until(lambda: node.ids() == ["a"])
        handler.send(signal.SIGSTOP)
        handler.say("show a b")
        await asyncio.sleep(0.5)
        assert node.ids() == ["a"]
        handler.send(signal.SIGCONT)
        await node.until(lambda: node.ids() == ["a", "b"])


async def test_handlers_of_one_name_that_disagree_are_reported_and_the_first_counts(folder: Path) -> None:
    other = _answer(_device(id="good", properties={"KEY": "another value"}), _device(id="more"))
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(discovering(folder))
        first = await stack.enter_async_context(raw_handler(folder, _once(_answer(_GOOD)), socket="first.sock"))
        second = await stack.enter_async_context(raw_handler(folder, _once(other), socket="second.sock", shared=False))
        await register(folder, first.registration)
        await register(folder, second.registration)
        await node.store.apply(configuration())
        await node.until(lambda: node.ids() == ["good", "more"])
        await node.until(lambda: "describes it in another way than a handler that registered before, which is used" in node.problems())
        await node.until(lambda: "says that its devices are not shared" in node.problems())
        assert {instance.device_id: instance.broker_properties.get("KEY") for instance in node.store.instances}["good"] == "value"
        assert all(instance.shared for instance in node.store.instances)


async def test_e8_a_lost_answer_and_a_restart_of_the_handler_flap_nothing_and_certain_absence_goes_at_once(folder: Path) -> None:
    turns: asyncio.Queue[bytes] = asyncio.Queue()

    async def behave(request: bytes, context: rpc.Context) -> None:
        del request
        while True:
            await context.write(await turns.get())

    clock = VirtualClock(pause=0.02)
    both, only_b = _answer(_device(id="a"), _device(id="b")), _answer(_device(id="b"))
    async with agent_world(clock=clock) as it:
        async with raw_handler(folder, behave) as handler:
            it.agent.register(handler.registration)
            await it.store.apply(configuration(grace="60"))
            turns.put_nowait(both)
            await clock.run_until(lambda: len(it.store.instances) == 2)
            before = it.store.instances
            turns.put_nowait(only_b)
            await clock.advance(50)
            assert "device a: missing from the last answer of its handler (1 answers without it)" in it.problems()
            turns.put_nowait(both)
            await clock.advance(30)
        await clock.advance(50)
        assert it.store.instances == before
        async with raw_handler(folder, behave) as handler:
            it.agent.register(handler.registration)
            turns.put_nowait(both)
            await clock.advance(100)
            assert it.store.instances == before
            turns.put_nowait(_answer(_device(id="b"), gone_ids=["a"]))
            await clock.run_until(lambda: len(it.store.instances) == 1, 2.0)
            turns.put_nowait(_answer())
            await clock.advance(55)
            assert len(it.store.instances) == 1
            await clock.run_until(lambda: not it.store.instances, 10.0)


async def test_e8_a_handler_that_nobody_reaches_is_forgotten_and_one_that_fails_is_not(folder: Path) -> None:
    clock = VirtualClock(pause=0.02)
    async with agent_world(clock=clock) as it, raw_handler(folder, _refuse) as handler:
        it.agent.register(handler.registration)
        it.agent.register(evolve(handler.registration, endpoint=str(folder / "nobody.sock")))
        await it.store.apply(configuration())
        await clock.advance(400)
        assert [source.address for source in it.agent.handlers.of(HandlerName("mine"))] == [handler.registration.endpoint]
        assert "the bus is gone" in it.problems()


@pytest.mark.parametrize("kind", ["name", "mount", "device node"])
async def test_t2_handlers_do_only_what_the_operator_allows(folder: Path, kind: str) -> None:
    allowed = Allowed(names=frozenset({HandlerName("mine")}), mounts=("/srv",), device_nodes=("/dev/bus",))
    odds: dict[str, dict[str, object]] = {
        "name": {},
        "mount": {"mounts": [{"container_path": "/x", "host_path": "/etc", "read_only": True}]},
        "device node": {"device_specs": [{"container_path": "/dev/sda", "host_path": "/dev/sda"}]},
    }
    odd = odds[kind]
    good = _device(id="good", mounts=[{"container_path": "/x", "host_path": "/srv/x"}], device_specs=[_NODE])
    async with discovering(folder, allowed=allowed) as node, raw_handler(folder, _once(_answer(good, _device(id="odd", **odd)))) as handler:
        if kind == "name":
            with pytest.raises(RemoteCallError, match="'other' is not allowed on this node: expected one of mine") as refused:
                await register(folder, evolve(handler.registration, name=HandlerName("other")))
            assert refused.value.code == "PERMISSION_DENIED"
            return
        await register(folder, handler.registration)
        await node.store.apply(configuration())
        await node.until(lambda: node.ids() == ["good"] and "is not allowed on this node" in node.problems())
        await node.until(lambda: any("device 'odd'" in event.message for event in node.events()))


_NODE: Final = {"container_path": "/dev/bus/usb/1", "host_path": "/dev/bus/usb/1"}
