"""Services follow brokers."""

from __future__ import annotations

import pytest
from attrs import evolve

from akri.core.configuration import JobBroker, NoBroker, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.metadata import JsonObject
from akri.core.reports import Reason
from akri.scheduling.model import (
    BrokerService,
    CreateJob,
    CreateService,
    DeleteService,
    Phase,
    UpdateService,
)
from akri.scheduling.planning import Plan, plan
from akri.scheduling.snapshot import Snapshot
from tests.unit.scheduling.building import NOW, POD, configuration, instance, job_of, key, plan_pods, service_of, snapshot

PORTS: JsonObject = {"ports": [{"port": 80}]}
WITH = configuration(instance_service=PORTS, configuration_service=PORTS)


def services(made: Plan) -> list[CreateService | UpdateService | DeleteService]:
    """Return what is done about services."""
    return [action for action in made.actions if isinstance(action, CreateService | UpdateService | DeleteService)]


def served(cluster: Snapshot) -> Snapshot:
    """Let the planned services exist."""
    return cluster.with_services([service_of(action) for action in plan(cluster, NOW).actions if isinstance(action, CreateService)])


def running() -> Snapshot:
    """Let brokers of one device run."""
    return plan_pods(snapshot(instance("a", "b", owner=WITH), owner=WITH))


def test_services_come_when_a_broker_runs() -> None:
    cluster = snapshot(instance("a", "b", owner=WITH), owner=WITH)
    assert services(plan(cluster, NOW)) == []
    pending = plan_pods(cluster, phase=Phase.PENDING)
    assert services(plan(pending, NOW)) == []
    made = services(plan(running(), NOW))
    assert [(type(action), action.key) for action in made if isinstance(action, CreateService)] == [
        (CreateService, key("cam-aaaaaa-svc")),
        (CreateService, key("cam-svc")),
    ]
    assert [action.about for action in made if isinstance(action, CreateService)] == [key("cam-aaaaaa"), key("cam")]
    assert [action.reason for action in made] == [Reason.SERVICE_CREATED] * 2
    assert plan(served(running()), NOW).actions == ()


def test_no_service_where_none_is_wanted() -> None:
    cluster = plan_pods(snapshot(instance("a")))
    assert plan(cluster, NOW).actions == ()


def test_a_leaving_broker_does_not_count_as_running() -> None:
    cluster = running()
    pods = [evolve(pod, deleting=True) for pod in cluster.pods[key("cam-aaaaaa")]]
    assert services(plan(cluster.with_pods(pods), NOW)) == []


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.FAILED, Phase.SUCCEEDED])
def test_services_stay_while_any_broker_is_left(phase: Phase) -> None:
    cluster = served(running())
    pods = [evolve(pod, phase=phase, finished=NOW) for pod in cluster.pods[key("cam-aaaaaa")]]
    assert plan(cluster.with_pods(pods), NOW).actions == ()


def test_services_stay_while_a_broker_is_on_its_way() -> None:
    cluster = served(running())
    returning = cluster.with_pods(gone=cluster.pods[key("cam-aaaaaa")])
    assert services(plan(returning, NOW)) == []
    fresh = evolve(returning, former_pods={})
    assert services(plan(fresh, NOW)) == []


def test_services_go_with_the_last_broker() -> None:
    cluster = served(running())
    idle = cluster.with_pods(gone=cluster.pods[key("cam-aaaaaa")]).with_configurations(
        [configuration(broker=NoBroker(), instance_service=PORTS, configuration_service=PORTS)]
    )
    assert plan(idle, NOW).actions == (
        DeleteService(key("cam-aaaaaa-svc"), "uid-cam-aaaaaa-svc", Reason.SERVICE_REMOVED),
        DeleteService(key("cam-svc"), "uid-cam-svc"),
    )


def test_services_go_when_they_are_wanted_no_more() -> None:
    made = plan(served(running()).with_configurations([configuration()]), NOW)
    assert [action.key.name for action in made.actions if isinstance(action, DeleteService)] == ["cam-aaaaaa-svc", "cam-svc"]


def test_edited_services_are_updated_in_place() -> None:
    ports: JsonObject = {"ports": [{"port": 81}]}
    edited = configuration(instance_service=ports, configuration_service=ports)
    made = services(plan(served(running()).with_configurations([edited]), NOW))
    assert [(type(action), action.key.name, action.reason) for action in made] == [
        (UpdateService, "cam-aaaaaa-svc", Reason.SERVICE_CHANGED),
        (UpdateService, "cam-svc", Reason.SERVICE_CHANGED),
    ]
    first = made[0]
    assert isinstance(first, UpdateService)
    assert first.uid == "uid-cam-aaaaaa-svc"
    assert first.spec == {**ports, "selector": {"akri.sh/instance": "cam-aaaaaa"}}
    assert first.labels["app"] == "cam-aaaaaa-svc"
    assert set(first.annotations) == {"akri.sh/broker-hash"}


def test_services_that_were_asked_for_are_left_alone() -> None:
    cluster = served(running())
    asked = [evolve(service, uid="", spec_hash="x") for group in cluster.services.values() for service in group]
    assert services(plan(cluster.with_services(asked), NOW)) == []
    assert services(plan(cluster.with_services(asked).with_configurations([configuration()]), NOW)) == []


def test_a_service_with_a_foreign_name_is_removed() -> None:
    stray = BrokerService(key("stray"), "uid-stray", key("cam-aaaaaa"))
    made = services(plan(served(running()).with_services([stray]), NOW))
    assert made == [DeleteService(key("stray"), "uid-stray")]
    alone = services(plan(running().with_services([stray]), NOW))
    assert [type(action) for action in alone] == [DeleteService, CreateService, CreateService]
    changed = (
        served(running()).with_services([stray]).with_configurations([configuration(instance_service={}, configuration_service=PORTS)])
    )
    assert [type(action) for action in services(plan(changed, NOW))] == [DeleteService, UpdateService]
    quiet = snapshot(instance("a", owner=WITH), owner=WITH).with_services([stray])
    assert services(plan(quiet, NOW)) == [DeleteService(key("stray"), "uid-stray")]


def test_services_whose_owner_is_gone_are_removed() -> None:
    cluster = served(running())
    made = plan(cluster.with_instances(gone=[key("cam-aaaaaa")]), NOW)
    assert [action.key.name for action in services(made)] == ["cam-aaaaaa-svc", "cam-svc"]
    nobody = cluster.with_instances(gone=[key("cam-aaaaaa")]).with_pods(gone=cluster.pods[key("cam-aaaaaa")])
    assert [action.key.name for action in services(plan(nobody, NOW))] == ["cam-aaaaaa-svc", "cam-svc"]
    bare = nobody.with_configurations(gone=[key("cam")])
    assert plan(bare, NOW).actions == (
        DeleteService(key("cam-svc"), "uid-cam-svc"),
        DeleteService(key("cam-aaaaaa-svc"), "uid-cam-aaaaaa-svc"),
    )


def test_services_of_an_orphan_go_and_those_of_an_unreadable_configuration_stay() -> None:
    cluster = served(running())
    orphaned = cluster.with_configurations(gone=[key("cam")])
    assert [action.key.name for action in services(plan(orphaned, NOW))] == ["cam-svc", "cam-aaaaaa-svc"]
    unreadable = cluster.with_configurations([UnreadableConfiguration(WITH.metadata, (Problem("spec", "bad"),))])
    assert plan(unreadable, NOW).actions == ()
    deleting = cluster.with_configurations([evolve(WITH, metadata=evolve(WITH.metadata, deleting=True))])
    assert [action.key.name for action in services(plan(deleting, NOW))] == ["cam-aaaaaa-svc"]


def test_services_follow_jobs_too() -> None:
    owner = configuration(broker=JobBroker({"template": {"spec": POD}}), instance_service=PORTS)
    cluster = snapshot(instance("a", owner=owner), owner=owner)
    job = next(job_of(action) for action in plan(cluster, NOW).actions if isinstance(action, CreateJob))
    working = cluster.with_jobs([job])
    assert [type(action) for action in services(plan(working, NOW))] == [CreateService]
    for state in (evolve(job, uid=""), evolve(job, deleting=True)):
        assert services(plan(cluster.with_jobs([state]), NOW)) == []
    kept = served(working).with_jobs([evolve(job, deleting=True)])
    assert services(plan(kept, NOW)) == []
    for ended in (evolve(job, complete=True), evolve(job, failed=True)):
        assert services(plan(cluster.with_jobs([ended]), NOW)) == []
        assert [type(action) for action in services(plan(served(working).with_jobs([ended]), NOW))] == [DeleteService]
    coming = served(working).with_jobs(gone=[job])
    assert services(plan(coming, NOW)) == []


def test_a_configuration_service_stays_until_its_last_device_is_gone() -> None:
    cluster = served(plan_pods(snapshot(instance("a", owner=WITH), instance("b", name="cam-bbbbbb", owner=WITH), owner=WITH)))
    assert len(cluster.services) == 3
    one = cluster.with_instances(gone=[key("cam-bbbbbb")]).with_pods(gone=cluster.pods[key("cam-bbbbbb")])
    assert [action.key.name for action in services(plan(one, NOW))] == ["cam-bbbbbb-svc"]


@pytest.mark.parametrize("state", [{"complete": True}, {"failed": True}])
def test_a_job_that_ended_does_not_bring_a_service_back(state: dict[str, bool]) -> None:
    owner = configuration(broker=JobBroker({"template": {"spec": POD}}), configuration_service=PORTS)
    cluster = snapshot(instance("a", owner=owner), instance("b", name="cam-bbbbbb", owner=owner), owner=owner)
    first, second = (job_of(action) for action in plan(cluster, NOW).actions if isinstance(action, CreateJob))
    ended = evolve(first, complete=state.get("complete", False), failed=state.get("failed", False))
    assert services(plan(cluster.with_jobs([ended]), NOW)) == []
    assert [action.key.name for action in services(plan(cluster.with_jobs([ended, second]), NOW))] == ["cam-svc"]
