"""The ten faults, prepared with agents, a controller and device managers: the first line names each, the second says what to do.

Time is virtual, so that graces and back-offs run to their ends.
"""

from __future__ import annotations

from functools import partial
from math import ceil

import pytest
from attrs import evolve

from akri.cli.diagnosis.finding import Fault, Severity
from akri.core.configuration import PodBroker
from akri.core.device import Device, DeviceNode
from akri.core.errors import DiscoveryError, InvalidDocumentError, NotPermittedError, Problem
from akri.core.ids import DeviceId, HandlerName, ObjectKey
from akri.core.metadata import ObjectMeta
from akri.core.properties import FromSecret
from akri.discovery.snapshot import SourceReport
from akri.scheduling.model import Phase
from tests.integration.explain.asking_why import STATE, why
from tests.scenarios.brokers import BROKER, controlled
from tests.scenarios.cluster import cluster, configuration, device, resource

CAM = "default/cam"


async def test_handler_not_registered() -> None:
    async with cluster() as it, controlled(it) as brokers:
        wanted = configuration()
        await it.store.apply(evolve(wanted, discovery=evolve(wanted.discovery, handler=HandlerName("script"))))
        await brokers.until(lambda: bool(it.store.reports))
        (found,) = await why(it, "cam")
        assert found.title == (
            "No discovery handler named script is registered on node-a: nobody looks for the devices of Configuration default/cam there"
        )
        assert found.advice == "If scripted is meant, change spec.discoveryHandler.name: akri edit cam"
        assert (found.fault, found.severity) == (Fault.HANDLER_MISSING, Severity.PROBLEM)
        assert "registered: scripted" in found.evidence[0]


async def test_bad_details() -> None:
    async with cluster() as it, controlled(it) as brokers:
        it.nodes[0].source.fail(InvalidDocumentError("scripted discoveryDetails", [Problem("udevRules[0]", "no such key: KERNAL")]))
        await it.store.apply(configuration())
        await brokers.until(lambda: any(one.handlers[0].error for one in it.store.reports))
        (found,) = await why(it, "cam")
        assert found.title == (
            "Discovery handler scripted refuses the discoveryDetails of Configuration default/cam: "
            "scripted discoveryDetails: udevRules[0]: no such key: KERNAL"
        )
        assert found.advice == "Correct spec.discoveryHandler.discoveryDetails: akri edit cam (akri discover FILE tries them out)"


async def test_a_filter_that_drops_everything() -> None:
    async with cluster() as it, controlled(it) as brokers:
        it.nodes[0].source.show(report=SourceReport(12, {'udevRules[0]: KERNEL=="video9"': 11, "uuids": 1}))
        await it.store.apply(configuration())
        await brokers.until(lambda: any(one.handlers[0].candidates for one in it.store.reports))
        (found,) = await why(it, "cam")
        assert found.title == (
            "The filter of Configuration default/cam drops everything: of 12 candidates that scripted sees on node-a, "
            '11 fail at udevRules[0]: KERNEL=="video9"'
        )
        assert found.advice == (
            "On the node that has the device: akri discover FILE --explain says what turned each device away; then akri edit cam"
        )
        assert found.evidence[-1] == "1 dropped by uuids"


async def test_permission_denied_for_a_handler_on_one_of_two_nodes() -> None:
    async with cluster(device("foo0"), nodes=2) as it, controlled(it) as brokers:
        it.nodes[1].source.fail(NotPermittedError("[Errno 13] Permission denied: '/dev/bus/usb/001'"))
        await it.store.apply(configuration())
        await brokers.until(lambda: len(it.store.reports) == 2 and len(it.store.instances) == 1)
        found = (await why(it, "cam"))[0]
        assert found.title == (
            "A permission is lacking on node-b: discovery handler scripted of Configuration default/cam: "
            "[Errno 13] Permission denied: '/dev/bus/usb/001'"
        )
        assert found.advice.startswith("ls -l /dev/bus/usb/001 on that node shows who may; add the user")
        assert found.severity is Severity.WARNING, "on node-a the handler answers"


async def test_a_device_node_that_the_operator_does_not_allow() -> None:
    async with cluster() as it, controlled(it) as brokers:
        it.nodes[0].source.show(Device(DeviceId("odd"), {}, (), (DeviceNode("/etc/shadow", "/etc/shadow", "r"),)))
        await it.store.apply(configuration())
        await brokers.until(lambda: any(one.problems for one in it.store.reports))
        (found,) = await why(it, "cam")
        assert found.title.startswith("A permission is lacking on node-a, for Configuration default/cam: device 'odd'.deviceSpecs[0]")
        assert found.advice.startswith("Let the operator allow it in the agent's settings")


_NONSENSE = {
    "duplicate ids": ((device("odd", A="1"), device("odd", A="2")), "device 'odd': the answer holds this id more than once"),
    "control characters": ((device("a\n\x1b[31mb"),), r"device 'a\n\x1b[31mb'.id: "),
    "a property that is too long": ((device("odd", A="x" * 5000),), "device 'odd'.properties.A: "),
    "a path that climbs": (
        (Device(DeviceId("odd"), {}, (), (DeviceNode("/dev/x", "/dev/../etc/shadow", "r"),)),),
        "device 'odd'.deviceSpecs[0].hostPath: ",
    ),
}


@pytest.mark.parametrize("nonsense", _NONSENSE)
async def test_d1_nonsense_of_a_handler_is_named(nonsense: str) -> None:
    devices, named = _NONSENSE[nonsense]
    async with cluster() as it, controlled(it) as brokers:
        it.nodes[0].source.show(*devices)
        await it.store.apply(configuration())
        await brokers.until(lambda: any(one.problems for one in it.store.reports))
        found = (await why(it, "cam"))[0]
        assert found.title.startswith("Something cannot be used on node-a, for Configuration default/cam: device ")
        assert named in found.title
        assert found.advice == "Correct what the handler sends, or the device: the text names the place and what was expected"


async def test_d2_why_a_device_is_not_there_is_said_for_each_node() -> None:
    async with cluster(nodes=3) as it, controlled(it) as brokers:
        it.nodes[0].source.show(report=SourceReport(7, {"KERNEL": 4, "SUBSYSTEM": 3}))
        it.nodes[1].source.fail(DiscoveryError("the bus is gone"))
        it.nodes[2].source.show(report=SourceReport(2, {"KERNEL": 2}))
        await it.store.apply(configuration())
        await brokers.until(lambda: len([one for one in it.store.reports if one.handlers[0].candidates or one.handlers[0].error]) == 3)
        failed, nothing = await why(it, "cam")
        assert failed.title == "Discovery handler scripted on node-b fails for Configuration default/cam: the bus is gone"
        assert failed.evidence[0].startswith("node node-b, handler scripted at embedded, asked 01:46:")
        assert failed.severity is Severity.PROBLEM, "nobody finds anything"
        assert nothing.title == (
            "The filter of Configuration default/cam drops everything: of 9 candidates that scripted sees on node-a and node-c, "
            "6 fail at KERNEL"
        )
        for node, candidates in (("node-a", 7), ("node-c", 2)):
            told = [line for line in nothing.evidence if line.startswith(f"node {node}, handler scripted, answered 01:46:")]
            assert told[0].endswith(f": {candidates} candidates, 0 devices")
        assert nothing.evidence[-2:] == ("6 dropped by KERNEL", "3 dropped by SUBSYSTEM")


async def test_all_slots_held() -> None:
    async with cluster(device("foo0")) as it, controlled(it) as brokers:
        await it.apply(configuration())
        name = it.instance().name
        await it.nodes[0].run_pod("user", {resource(name): 1})
        await it.store.apply(evolve(configuration(), broker=PodBroker(BROKER)))
        await brokers.until(lambda: any(pod.instance for pod in it.store.pods))
        await it.store.create_pod(ObjectKey("default", "late"), {"containers": [{"resources": {"limits": {resource("cam"): 1}}}]})
        await it.clock.advance(4)
        for asked in ("cam", name, f"node-a-{name}-pod"):
            (found,) = await why(it, asked)
            assert found.title == (
                f"The one slot of Instance default/{name} is held by pod default/user on node node-a, "
                f"and broker default/node-a-{name}-pod on node node-a and pod default/late wait"
            )
            assert found.advice == "End a holder, or let more share the device: raise spec.capacity, akri edit cam"
            assert f"slot {name}-0 is held by pod default/user on node node-a" in found.evidence


async def test_a_broker_that_crashes_again_and_again() -> None:
    async with cluster(device("foo0")) as it, controlled(it) as brokers:
        await it.apply(evolve(configuration(), broker=PodBroker(BROKER)))
        name = f"node-a-{it.instance().name}-pod"
        for attempt in range(3):
            await brokers.until(lambda: any(pod.phase is Phase.RUNNING for pod in it.store.pods), 60)
            (pod,) = it.store.pods
            assert pod.metadata.annotations["akri.sh/attempt"] == str(attempt)
            running = brokers.running.pop(name)
            it.nodes[0].manager.pod_ended(running.uid)
            message = "container broker ended with exit code 7"
            end = partial(evolve, phase=Phase.FAILED, reason="Error", message=message, finished=it.clock.wall())
            await it.store.change_pod(pod, end)
        await it.clock.advance(5)
        for asked in ("cam", it.instance().name, name):
            found = (await why(it, asked))[0]
            assert found.title == (
                f"Broker default/{name} on node node-a does not stay up: container broker ended with exit code 7; "
                "it failed 3 times in a row, the next attempt starts in 35 s"
            )
            assert found.advice == f"See what it wrote: akri logs {name}; then correct spec.brokerSpec or the program"
            assert found.fault is Fault.BROKER_FAILING
            assert "attempt 3; back-off 40 s, 5 min at most, from anew after 10 min without failure" in found.evidence


async def test_missing_secret() -> None:
    async with cluster(device("foo0")) as it, controlled(it) as brokers:
        wanted = configuration()
        secret = FromSecret("password_default", ObjectKey("default", "camera"), "password")
        await it.store.apply(evolve(wanted, discovery=evolve(wanted.discovery, properties=(secret,))))
        await brokers.until(lambda: any(one.handlers[0].error for one in it.store.reports))
        (found,) = await why(it, "cam")
        assert found.title == (
            "Secret default/camera is missing: Configuration default/cam takes its discovery property password_default from it, "
            "and no handler is asked before"
        )
        folder = f"{STATE}/data/secrets/default/camera"
        assert found.advice == f"Make it: install -d -m 700 {folder} && (umask 077; printf %s VALUE > {folder}/password)"
        await it.store.put_secret(ObjectKey("default", "camera"), {"user": b"x"})
        await brokers.until(lambda: "no key" in it.store.reports[0].handlers[0].error)
        (found,) = await why(it, "cam")
        assert found.title.startswith("Secret default/camera has no key password: Configuration default/cam takes")
        await it.store.put_secret(ObjectKey("default", "camera"), {"password": b"x"})
        await brokers.until(lambda: bool(it.store.instances))
        await brokers.until(lambda: not it.store.reports[0].handlers[0].error)
        assert (await why(it, "cam"))[0].fault is Fault.NOTHING


async def test_e9_a_name_that_is_taken() -> None:
    async with cluster(device("foo0")) as it, controlled(it) as brokers:
        await it.apply(configuration())
        await it.clock.advance(1)
        await it.store.apply(evolve(configuration(), metadata=ObjectMeta(ObjectKey("factory", "cam"))))
        await it.clock.advance(1)
        found = (await why(it, "cam", "factory"))[0]
        assert found.title == "Configuration factory/cam is refused, for its name is taken: the older Configuration default/cam has it"
        assert found.advice == "Give it another name: apply it under one, then akri delete cam -n factory"
        assert "akri.sh/cam" in found.evidence[0]
        name = it.instance().name
        await it.store.apply(evolve(configuration(), metadata=ObjectMeta(ObjectKey("factory", name))))
        await brokers.until(lambda: any("refused" in problem for one in it.store.reports for problem in one.problems))
        (found,) = await why(it, f"configuration/{name}", "factory")
        assert found.title == f"Configuration factory/{name} is refused, for its name is taken: the older Instance default/{name} has it"
        (found,) = await why(it, "cam", "default")
        assert found.fault is Fault.NOTHING


async def test_a_device_that_is_lost_and_in_its_grace() -> None:
    async with cluster(device("foo0")) as it, controlled(it) as brokers:
        await it.apply(configuration())
        name = it.instance().name
        it.nodes[0].source.show()
        await brokers.until(lambda: any(one.kept for one in it.store.reports))
        await it.clock.advance(50 - (it.clock.now() % 1))
        rest = ceil(it.store.reports[0].kept[0].until - it.clock.wall())
        assert 240 < rest < 255
        for asked in ("cam", name):
            (found,) = await why(it, asked)
            assert found.title == (
                f"Device foo0 (Instance default/{name}) is lost: node node-a does not see it, missing from the last answer of its handler; "
                f"it is kept for another 4 min {rest - 240} s"
            )
            assert found.advice == (
                "Connect it again within that time and nothing is lost; the annotation akri.sh/grace sets the time: akri edit cam"
            )
        await brokers.until(lambda: not it.store.instances, 300)
        (found,) = [one for one in await why(it, name) if one.fault is Fault.DEVICE_GONE]
        assert found.title.startswith(f"Instance default/{name} is gone: node node-a gave the device up: not seen for longer than")
        assert found.advice == "If its device should be there, connect it and look at what finds it: akri explain cam"
        await it.clock.advance(1)
        assert (await why(it, "cam"))[0].fault is Fault.NOTHING_FOUND


async def test_a_lost_node() -> None:
    async with cluster(device("foo0"), nodes=2) as it, controlled(it) as brokers:
        await it.apply(configuration())
        name, gone = it.instance().name, it.nodes[1]
        await gone.run_pod("user", {resource(name): 1})
        await gone.stop_agent()
        await it.store.set_node_ready(gone.name, ready=False)
        await it.clock.advance(100)
        found = (await why(it, "cam"))[0]
        assert found.title == (
            "Node node-b has not been ready for 2 min: it counts as lost in 3 min 20 s; it has 1 device, 1 slot and 0 brokers of "
            "Configuration default/cam"
        )
        assert found.advice.startswith("Bring it back: akri node --name node-b; when it is lost its slots are freed")
        assert found.fault is Fault.NODE_LOST
        await brokers.until(lambda: gone.name not in it.instance().nodes, 300)
        for asked in ("cam", name):
            found = (await why(it, asked))[0]
            assert found.title.startswith(
                "Node node-b is lost: it has not been ready for 5 min; it has 0 devices, 0 slots and 0 brokers of"
            )
            assert any("node node-b is lost: it leaves the Instance and its slots are freed" in line for line in found.evidence)
        await it.store.set_node_ready(gone.name, ready=True)
        gone.start_agent()
        await brokers.until(lambda: gone.name in it.instance().nodes)
        await it.clock.advance(5)
        assert (await why(it, "cam"))[0].fault is Fault.NOTHING


@pytest.mark.parametrize("asked", ["cam", "instance", "broker"])
async def test_nothing_wrong(asked: str) -> None:
    async with cluster(device("foo0")) as it, controlled(it) as brokers:
        await it.apply(evolve(configuration(), broker=PodBroker(BROKER)))
        await brokers.until(lambda: any(pod.phase is Phase.RUNNING for pod in it.store.pods), 60)
        name = it.instance().name
        (found,) = await why(it, {"cam": "cam", "instance": name, "broker": f"node-a-{name}-pod"}[asked])
        assert (found.fault, found.severity) == (Fault.NOTHING, Severity.NOTE)
        assert found.title.startswith("Nothing is wrong with ")
        assert any(f"{name}-0 held by pod default/node-a-{name}-pod on node node-a" in line for line in found.evidence)


async def test_a_handler_that_fails_is_told_in_its_own_words() -> None:
    async with cluster() as it, controlled(it) as brokers:
        it.nodes[0].source.fail(DiscoveryError("the bus is gone"))
        await it.store.apply(configuration())
        await brokers.until(lambda: any(one.handlers[0].error for one in it.store.reports))
        (found,) = await why(it, "cam")
        assert found.title == "Discovery handler scripted on node-a fails for Configuration default/cam: the bus is gone"
