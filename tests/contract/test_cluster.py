"""The contract of what the controller does: brokers, services, upkeep of Instances, finalizers, statuses; and of reports and reads."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from akri.core.errors import NotPermittedError
from akri.core.ids import ObjectKey
from akri.core.instance import ANNOTATION_FENCE, ANNOTATION_GENERATION, Instance
from akri.core.metadata import JsonObject, OwnerReference
from akri.core.naming import job_labels, pod_labels
from akri.core.reports import Condition, ConfigurationStatus, DiscoveryReport, Event, Reason
from akri.core.usage import HeldByNode
from akri.ports import Done, Refusal, Refused
from akri.scheduling.model import (
    ANNOTATION_ATTEMPT,
    ANNOTATION_HASH,
    Action,
    BrokerJob,
    BrokerPod,
    BrokerService,
    CreateJob,
    CreatePod,
    CreateService,
    DeleteInstance,
    DeleteJob,
    DeletePod,
    DeleteService,
    DropFinalizers,
    Phase,
    RemoveNode,
    RepairUsage,
    UpdateService,
    WriteCapacity,
)
from tests.contract.driver import COLLECTED, A, B, Driver, configuration, done, instance_of, made, slot, until, watching

SPEC: JsonObject = {"containers": [{"name": "main", "image": "localhost/none:1", "command": ["true"]}], "restartPolicy": "Never"}
ANNOTATIONS = {ANNOTATION_ATTEMPT: "3", ANNOTATION_HASH: "abc"}


def _pod(instance: Instance) -> CreatePod:
    labels = pod_labels(instance.configuration, instance.name, A, shared=True)
    return CreatePod(ObjectKey("default", f"{instance.name}-pod"), instance.key, A, _owner(instance), labels, ANNOTATIONS, SPEC)


def _job(instance: Instance) -> CreateJob:
    labels = job_labels(instance.configuration, instance.name, 1)
    spec: JsonObject = {"template": {"spec": SPEC}}
    return CreateJob(ObjectKey("default", f"{instance.name}-1-job"), instance.key, _owner(instance), labels, ANNOTATIONS, spec)


def _service(instance: Instance) -> CreateService:
    key = ObjectKey("default", f"{instance.name}-svc")
    return CreateService(key, instance.key, _owner(instance), {"controller": "akri.sh"}, ANNOTATIONS, {"ports": [{"port": 80}]})


def _owner(instance: Instance) -> OwnerReference:
    return OwnerReference("akri.sh/v0", "Instance", instance.name, instance.metadata.uid, controller=True)


def _key(value: BrokerPod | BrokerJob | BrokerService | Instance) -> ObjectKey:
    return value.key


def _report_key(report: DiscoveryReport) -> ObjectKey:
    return report.key


async def test_a_broker_pod_is_made_runs_and_fails(driver: Driver) -> None:
    instance = await made(driver, A)
    controller = driver.cluster()
    async with watching(driver, controller.watch_broker_pods(), _key) as seen:
        action = _pod(instance)
        assert await controller.execute(action) == Done(None)
        await until(driver, lambda: action.key in seen.state)
        pod = seen.state[action.key]
        assert (pod.instance, pod.node, pod.phase, pod.attempt, pod.spec_hash) == (instance.key, A, Phase.PENDING, 3, "abc")
        assert pod.uid
        assert abs(pod.created - driver.clock.wall()) < 60
        await driver.run_pod(action.key)
        await until(driver, lambda: seen.state[action.key].phase is not Phase.PENDING)
        assert seen.state[action.key].phase is Phase.RUNNING
        assert seen.state[action.key].started >= pod.created
        await driver.end_pod(action.key, succeeded=False, reason="UnexpectedAdmissionError")
        await until(driver, lambda: seen.state[action.key].phase is not Phase.RUNNING)
        failed = seen.state[action.key]
        assert (failed.phase, failed.reason, failed.uid) == (Phase.FAILED, "UnexpectedAdmissionError", pod.uid)
        assert failed.finished >= failed.started


async def test_c4_creating_what_is_there_is_done_and_leaves_it_alone(driver: Driver) -> None:
    instance = await made(driver, A)
    first, second = driver.cluster(), driver.cluster()
    actions: tuple[Action, ...] = (_pod(instance), _job(instance), _service(instance))
    outcomes = await asyncio.gather(*(controller.execute(action) for action in actions for controller in (first, second)))
    assert outcomes == [Done(None)] * 6
    async with (
        watching(driver, first.watch_broker_pods(), _key) as pods,
        watching(driver, first.watch_broker_jobs(), _key) as jobs,
        watching(driver, first.watch_broker_services(), _key) as services,
    ):
        assert (len(pods.state), len(jobs.state), len(services.state)) == (1, 1, 1)


async def test_a_pod_that_does_not_run_yet_is_deleted_at_once_and_only_the_very_one(driver: Driver) -> None:
    instance = await made(driver, A)
    controller = driver.cluster()
    await controller.execute(_pod(instance))
    async with watching(driver, controller.watch_broker_pods(), _key) as seen:
        [pod] = seen.state.values()
        assert await controller.execute(DeletePod(pod.key, "another", Reason.BROKER_REMOVED, "")) == Done(None)
        await driver.settle()
        assert pod.key in seen.state
        assert await controller.execute(DeletePod(pod.key, pod.uid, Reason.BROKER_REMOVED, "")) == Done(None)
        await until(driver, lambda: not seen.state)
        assert seen.state == {}
        assert await controller.execute(DeletePod(pod.key, pod.uid, Reason.BROKER_REMOVED, "")) == Done(None)


async def test_a_pod_that_runs_is_deleting_until_its_node_ended_it(driver: Driver) -> None:
    instance = await made(driver, A)
    controller = driver.cluster()
    await controller.execute(_pod(instance))
    await driver.run_pod(_pod(instance).key)
    async with watching(driver, controller.watch_broker_pods(), _key) as seen:
        [pod] = seen.state.values()
        await controller.execute(DeletePod(pod.key, pod.uid, Reason.BROKER_REMOVED, ""))
        await until(driver, lambda: seen.state[pod.key].deleting)
        assert seen.state[pod.key].deleting
        await driver.finish_pod(pod.key)
        await until(driver, lambda: not seen.state)
        assert seen.state == {}


async def test_a_job_is_made_ends_and_is_deleted(driver: Driver) -> None:
    instance = await made(driver, A)
    controller = driver.cluster()
    async with watching(driver, controller.watch_broker_jobs(), _key) as seen:
        await controller.execute(_job(instance))
        await until(driver, lambda: bool(seen.state))
        [job] = seen.state.values()
        assert (job.instance, job.spec_hash, job.attempt, job.complete, job.failed) == (instance.key, "abc", 3, False, False)
        await driver.complete_job(job.key, succeeded=False)
        await until(driver, lambda: seen.state[job.key].failed)
        ended = seen.state[job.key]
        assert (ended.complete, ended.failed) == (False, True)
        assert ended.finished >= job.created
        assert await controller.execute(DeleteJob(job.key, job.uid, Reason.BROKER_REMOVED, "")) == Done(None)
        assert await controller.execute(DeleteJob(job.key, job.uid, Reason.BROKER_REMOVED, "")) == Done(None)
        await until(driver, lambda: not seen.state)
        assert seen.state == {}


async def test_a_service_is_made_changed_and_deleted(driver: Driver) -> None:
    instance = await made(driver, A)
    controller = driver.cluster()
    async with watching(driver, controller.watch_broker_services(), _key) as seen:
        await controller.execute(_service(instance))
        await until(driver, lambda: bool(seen.state))
        [service] = seen.state.values()
        assert (service.owner, service.spec_hash) == (instance.key, "abc")
        update = UpdateService(service.key, service.uid, {"controller": "akri.sh"}, {ANNOTATION_HASH: "def"}, {"ports": [{"port": 81}]})
        assert isinstance(await controller.execute(update), Done)
        await until(driver, lambda: seen.state[service.key].spec_hash == "def")
        assert seen.state[service.key] == evolve(service, spec_hash="def")
        assert await controller.execute(DeleteService(service.key, service.uid)) == Done(None)
        assert await controller.execute(DeleteService(service.key, service.uid)) == Done(None)
        await until(driver, lambda: not seen.state)
        assert seen.state == {}
        missing = await controller.execute(update)
        assert isinstance(missing, Refused)
        assert missing.refusal is Refusal.MISSING


async def test_brokers_and_services_go_with_their_instance(driver: Driver) -> None:
    instance = await made(driver, A)
    controller = driver.cluster()
    for action in (_pod(instance), _job(instance), _service(instance)):
        await controller.execute(action)
    async with (
        watching(driver, controller.watch_broker_pods(), _key) as pods,
        watching(driver, controller.watch_broker_jobs(), _key) as jobs,
        watching(driver, controller.watch_broker_services(), _key) as services,
    ):
        await driver.node(A).leave(instance.key, instance.metadata.uid, A)
        await until(driver, lambda: not (pods.state or jobs.state or services.state), COLLECTED)
        assert (pods.state, jobs.state, services.state) == ({}, {}, {})


async def test_s3_a_lost_node_loses_its_place_and_its_slots_in_one_write(driver: Driver) -> None:
    instance = await made(driver, A, B, capacity=3)
    await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A))
    current = done(await driver.node(B).claim(instance.key, slot(instance, 1), HeldByNode(B)))
    controller = driver.cluster()
    stale = await controller.execute(RemoveNode(instance, A, Reason.NODE_LOST))
    assert isinstance(stale, Refused)
    assert stale.refusal is Refusal.CONFLICT
    cleaned = done(await controller.execute(RemoveNode(current, A, Reason.NODE_LOST)))
    assert cleaned.nodes == (B,)
    assert {key: text for key, text in cleaned.device_usage.items() if text} == {str(slot(instance, 1)): B}
    back = done(await driver.node(A).join(instance.key, instance.metadata.uid, A))
    assert back.nodes == (B, A)
    assert isinstance(await driver.node(A).claim(instance.key, slot(instance), HeldByNode(A)), Done)


async def test_s7_unreadable_keys_are_removed_and_others_stay(driver: Driver) -> None:
    instance = await made(driver, A)
    usage = {**instance.device_usage, "rubbish": "x", str(slot(instance, 1)): A}
    spoiled = await driver.put_instance(evolve(instance, device_usage=usage))
    repaired = done(await driver.cluster().execute(RepairUsage(spoiled, ("rubbish", "not-there"))))
    assert repaired.device_usage == {str(slot(instance)): "", str(slot(instance, 1)): A}


async def test_capacity_is_written_in_place_of_a_reporter(driver: Driver) -> None:
    instance = await made(driver, A, capacity=3)
    held = done(await driver.node(A).claim(instance.key, slot(instance, 2), HeldByNode(A)))
    written = done(await driver.cluster().execute(WriteCapacity(held, 2, 5)))
    assert (written.capacity, written.metadata.annotations[ANNOTATION_GENERATION]) == (2, "5")
    assert written.device_usage == {str(slot(instance, 0)): "", str(slot(instance, 1)): "", str(slot(instance, 2)): A}
    assert written.broker_properties == instance.broker_properties


async def test_an_instance_is_deleted_only_as_it_was_seen(driver: Driver) -> None:
    instance = await made(driver, A)
    current = done(await driver.node(A).fence(instance.key))
    assert ANNOTATION_FENCE in current.metadata.annotations
    controller = driver.cluster()
    stale = await controller.execute(DeleteInstance(instance, Reason.DEVICE_LOST))
    assert isinstance(stale, Refused)
    assert stale.refusal is Refusal.CONFLICT
    assert await controller.execute(DeleteInstance(current, Reason.DEVICE_LOST)) == Done(None)
    assert await controller.execute(DeleteInstance(current, Reason.DEVICE_LOST)) == Done(None)
    assert await driver.node(A).read_instance(instance.key) is None
    for action in (RemoveNode(current, A, Reason.NODE_LOST), RepairUsage(current, ("x",)), WriteCapacity(current, 1, 1)):
        outcome = await controller.execute(action)
        assert isinstance(outcome, Refused)
        assert outcome.refusal is Refusal.MISSING


async def test_e6_finalizers_hold_an_instance_until_they_are_dropped(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    wanted = instance_of(stored)
    instance = await driver.put_instance(evolve(wanted, metadata=evolve(wanted.metadata, finalizers=("node-x", "node-y"))))
    assert instance.metadata.finalizers == ("node-x", "node-y")
    controller = driver.cluster()
    await controller.execute(DropFinalizers("Instance", instance.key, ("node-y", "never")))
    current = await driver.node(A).read_instance(instance.key)
    assert current is not None
    assert (current.metadata.finalizers, current.metadata.deleting) == (("node-x",), False)
    await driver.delete_configuration(stored.key)

    async def deleting() -> bool:
        held = await driver.node(A).read_instance(instance.key)
        return held is not None and held.metadata.deleting

    await until(driver, deleting, COLLECTED)
    assert await deleting()
    assert isinstance(await controller.execute(DropFinalizers("Instance", instance.key, ("node-x",))), Done)
    assert await driver.node(A).read_instance(instance.key) is None
    assert isinstance(await controller.execute(DropFinalizers("Instance", instance.key, ("node-x",))), Done)


async def test_e6_finalizers_hold_a_configuration_until_they_are_dropped(driver: Driver) -> None:
    stored = await driver.apply(configuration(finalizers=("node-x", "node-y")))
    await driver.delete_configuration(stored.key)
    held = await driver.configuration(stored.key)
    assert held is not None
    assert held.metadata.deleting
    controller = driver.cluster()
    await controller.execute(DropFinalizers("Configuration", stored.key, ("node-x",)))
    held = await driver.configuration(stored.key)
    assert held is not None
    assert held.metadata.finalizers == ("node-y",)
    assert isinstance(await controller.execute(DropFinalizers("Configuration", stored.key, ("node-y",))), Done)
    assert await driver.configuration(stored.key) is None
    assert isinstance(await controller.execute(DropFinalizers("Configuration", stored.key, ("node-y",))), Done)


async def test_a_status_changes_no_generation_and_none_of_another_configuration(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    status = ConfigurationStatus(1, (Condition("Accepted", status=True, reason=Reason.ACCEPTED),), instances=2)
    controller = driver.cluster()
    await controller.set_status(stored.key, stored.metadata.uid, status)
    await controller.set_status(stored.key, "another", ConfigurationStatus(9))
    await controller.set_status(ObjectKey("default", "none"), "another", status)
    after = await driver.configuration(stored.key)
    assert after is not None
    assert after.metadata.generation == stored.metadata.generation
    await controller.set_status(stored.key, stored.metadata.uid, status)
    again = await driver.configuration(stored.key)
    assert again is not None
    assert again.metadata.revision == after.metadata.revision


async def test_reports_are_replaced_watched_and_go_with_their_configuration(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    controller = driver.cluster()
    async with watching(driver, controller.watch_reports(), _report_key) as seen:
        for node in (A, B):
            for generation in (1, 2):
                report = DiscoveryReport(stored.key, stored.metadata.uid, node, generation, 1000.0, problems=("none",))
                await driver.node(node).publish_report(report)
        await until(driver, lambda: [report.generation for report in seen.state.values()] == [2, 2])
        assert {key.name: report.generation for key, report in seen.state.items()} == {f"cam.{A}": 2, f"cam.{B}": 2}
        await driver.delete_configuration(stored.key)
        await until(driver, lambda: not seen.state, COLLECTED)
        assert seen.state == {}


async def test_the_controller_deletes_the_report_of_a_lost_node_alone(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    controller = driver.cluster()
    async with watching(driver, controller.watch_reports(), _report_key) as seen:
        for node in (A, B):
            await driver.node(node).publish_report(DiscoveryReport(stored.key, stored.metadata.uid, node, 1, 1000.0))
        await until(driver, lambda: len(seen.state) == 2)
        lost = DiscoveryReport(stored.key, stored.metadata.uid, A, 1, 1000.0)
        await controller.delete_report(lost)
        await controller.delete_report(lost)
        await until(driver, lambda: len(seen.state) == 1)
        assert [key.name for key in seen.state] == [f"cam.{B}"]


async def test_t1_no_node_writes_the_report_of_another_one(driver: Driver) -> None:
    stored = await driver.apply(configuration())
    with pytest.raises(NotPermittedError, match="node-b"):
        await driver.node(A).publish_report(DiscoveryReport(stored.key, stored.metadata.uid, B, 1, 0.0))


async def test_secrets_and_config_maps_are_read_where_that_is_granted(driver: Driver) -> None:
    key, hidden, missing = (ObjectKey("default", name) for name in ("readable", "hidden", "missing"))
    for stored in (key, hidden):
        await driver.put_secret(stored, {"password": b"\x00\xff"})
        await driver.put_config_map(stored, {"url": b"rtsp://"})
    await driver.permit(missing)
    await driver.forbid(hidden)
    node = driver.node(A)
    assert await node.fetch_secret(key) == {"password": b"\x00\xff"}
    assert await node.fetch_config_map(key) == {"url": b"rtsp://"}
    assert await node.fetch_secret(missing) is None
    assert await node.fetch_config_map(missing) is None
    for fetch in (node.fetch_secret, node.fetch_config_map):
        with pytest.raises(NotPermittedError) as caught:
            await fetch(hidden)
        assert "default/hidden" in str(caught.value)
        assert "rtsp" not in str(caught.value)


async def test_events_are_taken_whatever_they_are_about(driver: Driver) -> None:
    event = Event("Instance", ObjectKey("default", "not-there"), Reason.DEVICE_LOST, "it is gone", warning=True)
    before = await driver.configuration(configuration().key)
    await driver.node(A).emit(event)
    await driver.cluster().emit(event)
    assert await driver.configuration(configuration().key) == before
