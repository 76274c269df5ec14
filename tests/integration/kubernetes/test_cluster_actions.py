"""The controller's actions against a real API server, under the controller's own token: what it refuses, and what it makes of services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from akri.clock import SystemClock
from akri.core.ids import ObjectKey
from akri.core.metadata import JsonObject, OwnerReference
from akri.core.reports import ConfigurationStatus, Reason
from akri.platforms.kubernetes.actions import Actions
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.status import set_status
from akri.ports import Done, Refusal
from akri.scheduling.model import CreateJob, DeletePod, DropFinalizers
from tests.cluster.admin import Admin
from tests.cluster.api_server import ApiServer
from tests.integration.kubernetes.controlling import (
    LABELS,
    POD,
    PORTS,
    connected,
    installed_token,
    instance_in,
    owner_in,
    pod_in,
    refusal_of,
    service_in,
    stored_service,
    update_of,
)

NODE_PORT: JsonObject = {**PORTS, "type": "NodePort"}
BALANCER: JsonObject = {**PORTS, "type": "LoadBalancer", "loadBalancerClass": "example.com/lb", "externalTrafficPolicy": "Local"}
EXTERNAL: JsonObject = {"type": "ExternalName", "externalName": "cameras.example.com"}
HEADLESS: JsonObject = {**PORTS, "clusterIP": "None"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def token(api_server: ApiServer) -> str:
    return await installed_token(api_server)


@pytest_asyncio.fixture
async def client(api_server: ApiServer, token: str) -> AsyncGenerator[ApiClient]:
    async with connected(api_server, token) as opened:
        yield opened


@pytest.fixture
def actions(client: ApiClient) -> Actions:
    return Actions(client, SystemClock())


@pytest_asyncio.fixture
async def owner(admin: Admin, namespace: str) -> OwnerReference:
    return await owner_in(admin, namespace)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PORTS, {**PORTS, "ports": [{"name": "rtsp", "port": 555}, {"name": "http", "port": 80}]}),
        (PORTS, NODE_PORT),
        (NODE_PORT, PORTS),
        (NODE_PORT, {**NODE_PORT, "sessionAffinity": "ClientIP"}),
        (PORTS, BALANCER),
        (BALANCER, {**BALANCER, "sessionAffinity": "ClientIP"}),
        (BALANCER, PORTS),
        (PORTS, EXTERNAL),
        (EXTERNAL, PORTS),
        (HEADLESS, {**HEADLESS, "publishNotReadyAddresses": True}),
    ],
)
async def test_a_service_comes_to_any_spec_and_a_second_update_changes_nothing(
    actions: Actions, admin: Admin, namespace: str, owner: OwnerReference, before: JsonObject, after: JsonObject
) -> None:
    assert await actions.execute(service_in(namespace, owner, before)) == Done(None)
    made = await stored_service(admin, namespace)
    marks: JsonObject = {"metadata": {"labels": {"team": "video"}, "annotations": {"example.com/balancer": "b-1"}}}
    await admin.patch(f"/api/v1/namespaces/{namespace}/services/cam-svc", marks)

    assert await actions.execute(update_of(made, after)) == Done(None)

    updated = await stored_service(admin, namespace)
    spec = updated["spec"]
    assert updated["metadata"]["annotations"] == {"akri.sh/broker-hash": "b", "example.com/balancer": "b-1"}
    assert updated["metadata"]["labels"] == {**LABELS, "team": "video"}
    assert {name: spec[name] for name in after if name != "ports"} == {name: value for name, value in after.items() if name != "ports"}
    if "clusterIP" in made["spec"] and after is not EXTERNAL:
        assert spec["clusterIP"] == made["spec"]["clusterIP"]
    assert await actions.execute(update_of(made, after)) == Done(None)
    assert await stored_service(admin, namespace) == updated


async def test_node_ports_stay_when_another_port_changes(actions: Actions, admin: Admin, namespace: str, owner: OwnerReference) -> None:
    await actions.execute(service_in(namespace, owner, NODE_PORT))
    made = await stored_service(admin, namespace)

    await actions.execute(update_of(made, {**NODE_PORT, "ports": [{"name": "http", "port": 80}, {"name": "rtsp", "port": 554}]}))

    ports = {port["name"]: port["nodePort"] for port in (await stored_service(admin, namespace))["spec"]["ports"]}
    assert ports["rtsp"] == made["spec"]["ports"][0]["nodePort"]
    assert ports["http"] not in {0, ports["rtsp"]}


async def test_what_cannot_be_changed_is_refused_as_invalid(actions: Actions, admin: Admin, namespace: str, owner: OwnerReference) -> None:
    await actions.execute(service_in(namespace, owner))
    made = await stored_service(admin, namespace)

    refusal, message = refusal_of(await actions.execute(update_of(made, HEADLESS)))

    assert refusal is Refusal.INVALID
    assert "clusterIP" in message
    assert await stored_service(admin, namespace) == made


async def test_updates_at_the_same_time_all_arrive(actions: Actions, admin: Admin, namespace: str, owner: OwnerReference) -> None:
    await actions.execute(service_in(namespace, owner))
    made = await stored_service(admin, namespace)
    specs: list[JsonObject] = [{**PORTS, "ports": [{"name": "rtsp", "port": port}]} for port in (1, 2, 3)]

    outcomes = await asyncio.gather(*(actions.execute(update_of(made, spec, str(number))) for number, spec in enumerate(specs)))

    assert outcomes == [Done(None)] * 3
    assert (await stored_service(admin, namespace))["metadata"] != made["metadata"]


async def test_what_the_server_refuses_says_why(actions: Actions, admin: Admin, namespace: str, owner: OwnerReference) -> None:
    nameless: JsonObject = {"containers": [{"name": "main"}]}
    job = CreateJob(
        ObjectKey(namespace, "cam-1-job"),
        ObjectKey(namespace, "cam"),
        owner,
        LABELS,
        {},
        {"template": {"spec": {**POD, "restartPolicy": "Always"}}},
    )
    quota: JsonObject = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }

    assert refusal_of(await actions.execute(pod_in(namespace, owner, nameless)))[0] is Refusal.INVALID
    refusal, message = refusal_of(await actions.execute(job))
    assert refusal is Refusal.INVALID
    assert "restartPolicy" in message
    assert refusal_of(await actions.execute(pod_in("no-such-namespace", owner)))[0] is Refusal.MISSING
    await admin.create(dict(quota))
    await admin.request(
        "PUT",
        f"/api/v1/namespaces/{namespace}/resourcequotas/none/status",
        {
            **await admin.get(f"/api/v1/namespaces/{namespace}/resourcequotas/none"),
            "status": {"hard": {"pods": "0"}, "used": {"pods": "0"}},
        },
    )
    await _until_forbidden(actions, namespace, owner)


async def _until_forbidden(actions: Actions, namespace: str, owner: OwnerReference) -> None:
    for _ in range(50):
        outcome = await actions.execute(pod_in(namespace, owner))
        if outcome == Done(None):
            await asyncio.sleep(0.1)
            continue
        refusal, message = refusal_of(outcome)
        assert refusal is Refusal.FORBIDDEN
        assert "quota" in message
        return
    pytest.fail("the quota never refused a pod")


async def test_a_deletion_never_meets_a_successor(actions: Actions, admin: Admin, namespace: str, owner: OwnerReference) -> None:
    action = pod_in(namespace, owner)
    await actions.execute(action)
    path = f"/api/v1/namespaces/{namespace}/pods/{action.key.name}"
    former = str((await admin.get(path))["metadata"]["uid"])
    assert await actions.execute(DeletePod(action.key, former, Reason.BROKER_REMOVED, "")) == Done(None)
    await actions.execute(action)

    assert await actions.execute(DeletePod(action.key, former, Reason.BROKER_REMOVED, "")) == Done(None)

    assert str((await admin.get(path))["metadata"]["uid"]) != former


async def test_finalizers_go_one_by_one_under_many_hands(actions: Actions, admin: Admin, namespace: str) -> None:
    names = [f"node-{letter}" for letter in "abcdef"]
    metadata: JsonObject = {"name": "cam", "namespace": namespace, "finalizers": names}
    spec: JsonObject = {"discoveryHandler": {"name": "udev"}}
    await admin.create({"apiVersion": "akri.sh/v0", "kind": "Configuration", "metadata": metadata, "spec": spec})
    drops = [DropFinalizers("Configuration", ObjectKey(namespace, "cam"), (name,)) for name in names[1:4]]

    outcomes = await asyncio.gather(*(actions.execute(drop) for drop in drops))

    assert outcomes == [Done(None)] * 3
    left = (await admin.get(f"/apis/akri.sh/v0/namespaces/{namespace}/configurations/cam"))["metadata"]["finalizers"]
    assert left == [names[0], *names[4:]]


async def test_the_outcome_of_dropped_finalizers_is_the_instance_while_there_is_one(actions: Actions, admin: Admin, namespace: str) -> None:
    key, _ = await instance_in(admin, namespace)
    path = f"/apis/akri.sh/v0/namespaces/{namespace}/instances/{key.name}"
    await admin.patch(path, {"metadata": {"finalizers": ["node-x", "node-y"]}})

    dropped = await actions.execute(DropFinalizers("Instance", key, ("node-x",)))
    again = await actions.execute(DropFinalizers("Instance", key, ("node-x",)))
    await admin.delete(path)
    last = await actions.execute(DropFinalizers("Instance", key, ("node-y",)))

    assert isinstance(dropped, Done)
    assert dropped.instance is not None
    assert (dropped.instance.metadata.finalizers, dropped.instance.metadata.deleting) == (("node-y",), False)
    assert again == dropped
    assert last == Done(None)
    assert await admin.find(path) is None


async def test_finalizers_of_an_instance_that_nobody_can_read_are_dropped_too(actions: Actions, admin: Admin, namespace: str) -> None:
    key, _ = await instance_in(admin, namespace)
    path = f"/apis/akri.sh/v0/namespaces/{namespace}/instances"
    readable = await admin.get(f"{path}/{key.name}")
    metadata: JsonObject = {"name": "odd", "namespace": namespace, "finalizers": ["node-x"]}
    await admin.create({**readable, "metadata": metadata, "spec": {**readable["spec"], "configurationName": ""}})

    assert await actions.execute(DropFinalizers("Instance", ObjectKey(namespace, "odd"), ("node-x",))) == Done(None)
    assert "finalizers" not in (await admin.get(f"{path}/odd"))["metadata"]


async def test_a_status_is_written_once_and_never_on_another_configuration(client: ApiClient, admin: Admin, namespace: str) -> None:
    path, key = f"/apis/akri.sh/v0/namespaces/{namespace}/configurations/cam", ObjectKey(namespace, "cam")
    metadata: JsonObject = {"name": "cam", "namespace": namespace}
    spec: JsonObject = {"discoveryHandler": {"name": "udev"}}
    made = await admin.create({"apiVersion": "akri.sh/v0", "kind": "Configuration", "metadata": metadata, "spec": spec})
    uid = str(made["metadata"]["uid"])

    await set_status(client, key, uid, ConfigurationStatus(1, instances=3), "akri-controller")
    written = await admin.get(path)
    await set_status(client, key, uid, ConfigurationStatus(1, instances=3), "akri-controller")
    await set_status(client, key, "another", ConfigurationStatus(1, instances=4), "akri-controller")
    await set_status(client, ObjectKey(namespace, "none"), uid, ConfigurationStatus(1), "akri-controller")

    assert await admin.get(path) == written
    assert (written["status"]["instances"], written["metadata"]["generation"]) == (3, 1)
