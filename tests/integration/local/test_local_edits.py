"""E1, E5, E9, E10, S7 with processes: what people edit on a live system, devices that move, and names that meet."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from attrs import evolve

from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.core.reports import Reason
from akri.scheduling.model import Phase
from tests.integration.local.plant import MINE, Plant, configuration, echo, plant

pytestmark = pytest.mark.timeout(240)
_GARBAGE = {
    "": "a",
    "cam": "a",
    "cam-8120fe-": "a",
    "cam-8120fe-00": "a",
    "cam-8120fe--1": "",
    "cam-8120fe-1e3": "C:cam-0:a",
    "cam-8120fe-99999999999999999999999": "a",
    "cam-a19705-0": "a",
    "\x00\n": "\x00",
}
_TWINS = {"foo5913": "cam-53754f", "foo6157": "cam-75a7484d"}


async def test_e1_everything_can_be_edited_on_a_live_configuration_and_nothing_starts_anew_that_did_not_change() -> None:
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        it.handler(it.answer("foo0", "foo1"), "a")
        it.handler(it.folder / "answer.json", "b")
        spec: dict[str, Json] = {"brokerSpec": it.brokers_spec(shares=True)}
        await it.apply(configuration("cam", MINE, spec))
        await it.until(lambda: len(it.brokers()) == 2 and all(len(one.nodes) == 2 for one in it.store.instances), "each has a broker")
        before = it.brokers()

        spec["capacity"] = 2
        await it.apply(configuration("cam", MINE, spec))
        await it.until(lambda: len(it.brokers()) == 4, "the other node has brokers as well")
        assert before.items() < it.brokers().items()
        brokers, uids = it.brokers(), [one.metadata.uid for one in it.store.instances]

        await _edit_services(it, spec)
        assert it.brokers() == brokers

        spec["brokerProperties"] = {"LEVEL": "high"}
        await it.apply(configuration("cam", MINE, spec))
        await _replaced(it, brokers)
        await it.until(lambda: it.environment("foo0").get("LEVEL") == "high", "the new one is told")
        brokers = it.brokers()

        spec["brokerSpec"] = it.brokers_spec(shares=True, rest="export COLOUR=red; exec sleep 98760")
        await it.apply(configuration("cam", MINE, spec))
        await _replaced(it, brokers)
        brokers = it.brokers()

        handler: JsonObject = {**MINE, "discoveryDetails": "another text", "discoveryProperties": [{"name": "GIVEN", "value": "yes"}]}
        await it.apply(configuration("cam", handler, spec))
        await it.until(lambda: all(one.broker_properties.get("GIVEN") == "yes" for one in it.store.instances), "the handler was asked anew")
        await _replaced(it, brokers)
        await it.until(lambda: it.environment("foo1").get("GIVEN") == "yes", "the new one is told")
        assert [one.metadata.uid for one in it.store.instances] == uids

        brokers = it.brokers()
        del spec["configurationServiceSpec"]
        spec["capacity"] = 1
        await it.apply(configuration("cam", handler, spec))
        await it.until(lambda: len(it.store.services) == 2, "one service is gone")
        await it.until(lambda: all(one.capacity == 1 for one in it.store.instances), "there is one slot")
        await asyncio.sleep(1)
        assert set(it.brokers().items()) <= set(brokers.items())


async def _edit_services(it: Plant, spec: dict[str, Json]) -> None:
    spec["instanceServiceSpec"] = {"ports": [{"port": 80}]}
    spec["configurationServiceSpec"] = {"ports": [{"port": 81}]}
    await it.apply(configuration("cam", MINE, spec))
    await it.until(lambda: len(it.store.services) == 3, "there are services")
    spec["instanceServiceSpec"] = {"ports": [{"port": 8080}]}
    await it.apply(configuration("cam", MINE, spec))
    await it.until(lambda: sum("8080" in str(one.spec) for one in it.store.services) == 2, "they have another port")


async def _replaced(it: Plant, brokers: dict[str, str]) -> None:
    """Wait until all of these brokers have successors."""
    await it.until(
        lambda: it.brokers().keys() == brokers.keys() and not set(it.brokers().values()) & set(brokers.values()), "all are replaced"
    )


async def test_e1_a_device_that_is_added_and_one_that_is_taken_out_by_an_edit_leave_the_others_alone() -> None:
    async with plant() as it:
        await it.up("a")
        spec: dict[str, Json] = {"brokerSpec": it.brokers_spec()}
        await it.apply(configuration("cam", echo("foo0", "foo1"), spec, grace="1"))
        await it.until(lambda: len(it.brokers()) == 2, "each has a broker")
        before = it.brokers()
        await it.apply(configuration("cam", echo("foo0", "foo1", "foo2"), spec, grace="1"))
        await it.until(lambda: len(it.brokers()) == 3, "there is a third")
        assert before.items() < it.brokers().items()
        await it.apply(configuration("cam", echo("foo1", "foo2"), spec, grace="1"))
        await it.until(lambda: len(it.brokers()) == 2 and it.ids() == ["foo1", "foo2"], "the first is gone")
        assert [len(it.starts(name)) for name in ("foo0", "foo1", "foo2")] == [1, 1, 1]


async def test_e5_a_device_that_comes_back_with_another_node_is_handed_out_with_it_and_its_broker_is_replaced() -> None:
    async with plant() as it:
        await it.up("a")

        def camera(node: str) -> JsonObject:
            properties: JsonObject = {"DEBUG_ECHO_DESCRIPTION": "foo0", "NODE": node}
            return {"id": "foo0", "properties": properties, "nodes": [node]}

        it.handler(it.answer(camera("/dev/null")), "a", "local")
        await it.apply(configuration("cam", MINE, capacity=2, brokerSpec=it.brokers_spec(shares=True)))
        await it.until(lambda: len(it.brokers()) == 1 and bool(it.starts("foo0")), "it has a broker")
        (instance,) = (one.name for one in it.store.instances)
        resources: JsonObject = {"limits": {f"akri.sh/{instance}": "1"}}
        container = it.broker("user", resources=resources, env=[{"name": "SHARES", "value": "1"}])
        await it.until(lambda: it.healthy(instance) == 2, "there is another slot")
        await it.store.create_pod(ObjectKey("default", "user"), {"containers": [container]})
        await it.until(lambda: bool(it.starts("user")), "a user has it too")
        brokers, user = it.brokers(), it.pod("user")
        assert (it.environment("foo0")["NODE"], it.environment("user")["NODE"]) == ("/dev/null", "/dev/null")
        it.answer(camera("/dev/zero"))
        await _replaced(it, brokers)
        await it.until(lambda: len(it.starts("foo0")) == 2, "its broker has started")
        assert it.environment("foo0")["NODE"] == "/dev/zero"
        await it.until(lambda: "user" in {event.about.name for event in it.events(Reason.DEVICE_MOVED, "Pod")}, "the user is told")
        assert user is not None
        assert (it.pod("user"), len(it.starts("user"))) == (user, 1)


async def test_e9_configurations_whose_names_meet_are_refused_and_nothing_is_mixed_up() -> None:
    async with plant() as it:
        await it.up("a")
        await it.apply(configuration("cam", echo("foo0"), brokerSpec=it.brokers_spec()))
        await it.until(lambda: len(it.brokers()) == 1, "it has a broker")
        twin, colliding = configuration("cam", echo("other")), configuration("cam-8120fe", echo("foo1"))
        assert isinstance(twin["metadata"], dict)
        twin["metadata"]["namespace"] = "elsewhere"
        await it.apply(twin, colliding)
        for name, namespace, other in (("cam", "elsewhere", "default/cam"), ("cam-8120fe", "default", "default/cam")):
            await it.until(lambda name=name, namespace=namespace: it.condition(name, "Accepted", namespace) is not None, "it is judged")  # type: ignore[misc]
            condition = it.condition(name, "Accepted", namespace)
            assert condition is not None
            assert (condition.status, condition.reason) == (False, Reason.NAME_TAKEN)
            assert other in condition.message
        too_long = "c" * 55
        said = await it.akri("apply", "-f", it.write("long.yaml", configuration(too_long)), code=1)
        assert "54" in said
        assert len(it.store.configurations) == 3
        await asyncio.sleep(1)
        assert (it.ids(), len(it.brokers()), len(it.starts("foo0"))) == (["foo0"], 1, 1)
        await it.akri("delete", "cam")
        await it.until(lambda: it.ids() == ["foo1", "other"], "the others have their turn")


async def test_e10_two_devices_with_one_digest_exist_under_different_names_and_can_both_be_had() -> None:
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        await it.apply(configuration("cam", echo(*_TWINS)))
        await it.until(lambda: len(it.store.instances) == 2 and all(len(one.nodes) == 2 for one in it.store.instances), "both are there")
        assert {one.device_id: one.name for one in it.store.instances} == _TWINS
        for device_id, name in _TWINS.items():
            await it.run(device_id, name, node="b")
            assert it.environment(device_id)["DEBUG_ECHO_DESCRIPTION"] == device_id
        assert it.usages() == {f"{name}-0": "b" for name in _TWINS.values()}


async def test_e10_thousands_of_devices_in_one_configuration_stay_thousands_of_instances() -> None:
    """2,000 of them, through the store's file and one plugin socket each; 10,000 are in tests/scenarios."""
    async with plant() as it:
        await it.up("a")
        devices = [f"foo{number}" for number in range(2_000)]
        await it.apply(configuration("cam", echo(*devices)))
        await it.until(lambda: len(it.store.instances) == 2_000, "all are there")
        assert it.ids() == sorted(devices)
        await it.until(lambda: it.healthy("cam") == 2_000, "all can be had")
        await it.run("user", "cam", count=10)
        assert len(it.usages()) == 10


async def test_s7_keys_that_nobody_can_read_are_reported_and_removed_and_used_slots_beyond_the_capacity_drain() -> None:
    async with plant() as it:
        await it.up("a")
        await it.node("b")
        await it.apply(configuration("cam", echo("foo0"), capacity=3))
        await it.until(lambda: len(it.store.instances) == 1 and len(it.instance().nodes) == 2, "both nodes see it")
        it.of("a").kill()  # and with it the controller
        instance = it.instance()
        unreadable = {**_GARBAGE, "cam-8120fe-2": "C:nonsense"}
        await it.store.put_instance(evolve(instance, device_usage={**instance.device_usage, **unreadable}))
        shares = it.spec("user", "cam", rest="exec sleep 98760")
        await it.until(lambda: it.healthy("cam", "b") == 1, "one can be had")
        pod = await it.store.create_pod(ObjectKey("default", "user"), {**shares, "nodeName": "b"})
        await it.running(pod)
        held = {slot: text for slot, text in it.usages().items() if slot not in unreadable}
        assert [text[-1] for text in held.values()] == ["b"]
        await it.until(lambda: all(repr(key) in it.problems() for key in ("cam-8120fe-", "cam-a19705-0", "\x00\n")), "they are reported")
        assert {key: it.instance().device_usage[key] for key in unreadable} == unreadable

        await it.up("a")
        indices = {f"cam-8120fe-{index}" for index in range(3)}
        await it.until(lambda: set(it.instance().device_usage) == indices and it.usages() == held, "they are removed")
        await it.until(lambda: bool(it.events(Reason.SLOT_UNREADABLE)), "it is told")
        (slot,) = held
        spec: dict[str, Json] = {"capacity": int(slot[-1]) or 1}
        await it.apply(configuration("cam", echo("foo0"), spec))
        await it.until(lambda: it.instance().capacity == spec["capacity"], "there are fewer slots")
        await asyncio.sleep(2)
        assert it.usages() == held
        assert len(it.starts("user")) == 1
        os.kill(it.starts("user")[0][0], signal.SIGTERM)
        await it.until(lambda: set(it.instance().device_usage) == {"cam-8120fe-0"} and not it.usages(), "the slot drains")
        found = it.pod("user")
        assert found is not None
        assert found.phase is Phase.FAILED
