"""D1 to D4 with processes: what handlers and details get wrong is named where people look, and devices are noticed at once."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import evolve

from akri.core.configuration import DiscoveryRequest
from akri.core.ids import HandlerName, ObjectKey
from akri.core.metadata import JsonObject
from akri.core.reports import Reason
from akri.discovery._proto import messages_pb2 as pb
from akri.testing.loop import loop_device, loop_devices_refused
from tests.integration.local.plant import MINE, Plant, configuration, plant

pytestmark = pytest.mark.timeout(240)
_REFUSED = loop_devices_refused()
_GOOD = pb.Device(id="good", properties={"KEY": "value"}).SerializeToString()
_ODD_NODE = {"container_path": "/etc/shadow", "host_path": "/etc/shadow"}


def _answer(*devices: pb.Device) -> bytes:
    return pb.DiscoverResponse(devices=[*(one.SerializeToString() for one in devices), _GOOD]).SerializeToString()


_NONSENSE = {
    "holds this id more than once": _answer(pb.Device(id="twice"), pb.Device(id="twice", properties={"A": "2"})),
    "at most 4096 characters": _answer(pb.Device(id="big", properties={"A": "x" * 10_000_000})),
    "without control characters": _answer(pb.Device(id="a\n\x1b[31mb")),
    "'/etc/shadow' is not allowed on this node: expected a path in /dev": _answer(pb.Device(id="odd", device_specs=[_ODD_NODE])),  # type: ignore[list-item]
    "sent what cannot be read": b"\xff\xff\xff",
}


def _named(it: Plant, words: str, name: str = "cam") -> bool:
    """Whether condition, report and event of a Configuration name a problem."""
    condition = it.condition(name, "Discovering")
    told = [event.message for event in it.store.events if event.about.name == name]
    return condition is not None and words in condition.message and words in it.problems(name) and any(words in text for text in told)


async def test_d1_nonsense_of_a_handler_is_named_by_condition_report_and_event_and_nothing_spins() -> None:
    async with plant() as it:
        up = await it.up("a")
        answer = it.folder / "answer.raw"
        answer.write_bytes(next(iter(_NONSENSE.values())))
        it.handler(answer)
        for number, (words, text) in enumerate(_NONSENSE.items()):
            new = answer.with_suffix(".new")
            new.write_bytes(text)
            new.replace(answer)
            # One after the other, for events about one thing come only so often.
            name = f"cam-{number}"
            await it.apply(configuration(name, MINE))
            await it.until(lambda words=words, name=name: _named(it, words, name), f"it says: {words}")  # type: ignore[misc]
            assert set(it.ids()) <= {"good", "twice"}
            await it.store.delete(ObjectKey("default", name))
        await it.apply(configuration("cam", MINE))
        await it.until(lambda: next(reversed(_NONSENSE)) in it.problems(), "it is asked")
        before, asked = up.processor_seconds(), _lines(answer.with_suffix(".asked"))
        await asyncio.sleep(3)
        assert up.processor_seconds() - before < 2.5
        assert _lines(answer.with_suffix(".asked")) - asked <= 6
        assert up.lives
        assert not any("\n" in event.message or "\x1b" in event.message for event in it.store.events)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


async def test_d1_bad_details_and_rules_are_refused_by_apply_and_named_where_somebody_stored_them_all_the_same() -> None:
    async with plant() as it:
        up = await it.up("a")
        bad = {
            "rule": (HandlerName("udev"), "udevRules: ['RUN+=\"rm\"']", "udevRules[0]: character 1: 'RUN' is not valid"),
            "yaml": (HandlerName("udev"), "udevRules: [", "line 1"),
            "type": (HandlerName("debugEcho"), "descriptions: 7", "descriptions"),
            "nested": (HandlerName("debugEcho"), "[" * 100_000, "debugEcho"),
        }
        await it.apply(configuration("good"))
        for name, (handler, details, words) in bad.items():
            document = configuration(name, {"name": handler, "discoveryDetails": details})
            assert "nothing was changed" in await it.akri("apply", "-f", it.write(f"{name}.yaml", document), code=1)
            good = it.stored("good")
            metadata = evolve(good.metadata, key=evolve(good.key, name=name))
            await it.store.apply(evolve(good, metadata=metadata, discovery=DiscoveryRequest(handler, details)))
            await it.until(lambda words=words, name=name: _named(it, words, name), f"it says: {words}")  # type: ignore[misc]
            assert words in await it.akri("explain", name, code=1) or words in await it.akri("describe", f"akric/{name}")
        asked = [one.asked_at for name in bad for one in it.reports(name)]
        await asyncio.sleep(2)
        assert [one.asked_at for name in bad for one in it.reports(name)] == asked
        assert up.lives
        await it.until(lambda: it.ids() == ["foo0"], "the good one goes on")


@pytest.mark.skipif(bool(_REFUSED), reason=_REFUSED)
async def test_d2_reports_say_who_was_asked_when_and_by_which_rule_devices_were_dropped() -> None:
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        disk = it.folder / "disk.img"
        disk.write_bytes(bytes(1 << 16))
        with loop_device(disk):
            rule = f'KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{disk}"'
            await it.apply(
                configuration("disks", {"name": "udev", "discoveryDetails": json.dumps({"udevRules": [rule]})}),
                configuration("nobody", MINE),
            )
            await it.until(lambda: all([one.devices for one in it.reports("disks", node)] == [1] for node in "ab"), "both nodes report")
            for node in "ab":
                (said,) = it.reports("disks", node)
                assert (said.name, said.endpoint, said.error) == ("udev", "embedded", "")
                assert 0 < said.asked_at <= said.answered_at
                assert said.candidates > 1
                assert sum(said.dropped.values()) == said.candidates - 1
                assert any("udevRules[0]" in why for why in said.dropped)
        await it.until(lambda: "no discovery handler mine is registered on this node" in it.problems("nobody"), "it is missed")
        shown = await it.akri("describe", "akric/disks")
        assert "udevRules[0]" in shown
        assert "no discovery handler mine" in await it.akri("describe", "akric/nobody")
        it.handler(it.answer("foo0"), "b")
        await it.until(lambda: [one.devices for one in it.reports("nobody", "b")] == [1], "it was asked")
        (said,) = it.reports("nobody", "b")
        assert said.endpoint == str(it.handlers("b") / "mine.sock")
        it.of("handler-b").kill()
        await it.until(
            lambda: "discovery handler mine" in it.problems("nobody") and bool(it.reports("nobody", "b")[0].error), "it is missed"
        )
        assert "no discovery handler mine is registered on this node" in it.problems("nobody")  # node a never had it


@pytest.mark.skipif(bool(_REFUSED), reason=_REFUSED)
@pytest.mark.parametrize("remote", [False, True])
async def test_d3_a_plugged_device_becomes_an_instance_in_a_moment_and_unplugged_it_goes(*, remote: bool) -> None:
    """The quickest of up to 20 counts; a look every 10 s would show in each of them. The remote handler is `akri-handler udev`."""
    async with plant() as it:
        await it.up("a")
        disk = it.folder / "disk.img"
        disk.write_bytes(bytes(1 << 16))
        rule = f'KERNEL=="loop[0-9]*", ATTR{{loop/backing_file}}=="{disk}"'
        handlers = ["embedded"]
        if remote:
            it.serve_udev()
            handlers.append(str(it.handlers() / "udev.sock"))
        with ExitStack() as stack:
            plugged = stack.enter_context(loop_device())
            handler = {"name": "udev", "discoveryDetails": json.dumps({"udevRules": [rule]})}
            await it.apply(configuration("cam", handler, brokerSpec=it.brokers_spec()))
            await it.until(lambda: sorted(one.endpoint for one in it.reports() if one.answered_at) == sorted(handlers), "all were asked")
            came, went = list[float](), list[float]()
            for _ in range(20):
                plugged.attach(disk)
                came.append(await it.until(lambda: it.ids() == [plugged.devpath]))
                await it.until(lambda: len(it.brokers()) == 1, "it has a broker")
                plugged.detach()
                went.append(await it.until(lambda: not it.ids()))
                await it.until(lambda: not it.store.pods, "its broker is gone")
                if min(came) < 0.3 and min(went) < 0.3:
                    break
            assert min(came) < 0.3, came
            assert min(went) < 0.3, went


async def test_d4_another_order_is_no_change() -> None:
    async with plant() as it:
        await it.up("a")
        it.handler(it.answer(*_three(turned=False)))
        await it.apply(configuration("cam", MINE, brokerSpec=it.brokers_spec()))
        await it.until(lambda: len(it.brokers()) == 3 and len(it.usages()) == 3, "each has a broker")
        await asyncio.sleep(1)
        before, events = it.store.instances, len(it.events(Reason.DEVICE_FOUND))
        for number in range(40):
            it.answer(*_three(turned=number % 2 == 0))
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        assert it.store.instances == before
        assert len(it.events(Reason.DEVICE_FOUND)) == events
        assert [len(it.starts(name)) for name in ("a", "b", "c")] == [1, 1, 1]


def _three(*, turned: bool) -> list[JsonObject]:
    """Three devices, one way round or the other in everything that has an order."""
    step = -1 if turned else 1
    nodes = ["/dev/null", "/dev/zero", "/dev/full"][::step]

    def device(name: str) -> JsonObject:
        properties = [("DEBUG_ECHO_DESCRIPTION", name), ("A", "1"), ("B", "2")][::step]
        return {"id": name, "properties": dict(properties), "nodes": nodes}

    return [device(name) for name in "abc"[::step]]
