"""The controller's writes through a bad network, and with a token that must not: what each ends as, and what it left behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from attrs import frozen

from akri.clock import SystemClock
from akri.core.errors import NotPermittedError, OutcomeUnknownError
from akri.core.ids import NodeName, ObjectKey
from akri.core.metadata import OwnerReference
from akri.core.reports import ConfigurationStatus, DiscoveryReport, Reason
from akri.platforms.kubernetes.actions import Actions
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.cluster import KubernetesClusterPlatform
from akri.ports import Done, Refusal, Unknown
from akri.scheduling.model import DeletePod, DropFinalizers
from tests.cluster.admin import Admin
from tests.cluster.api_server import ApiServer
from tests.cluster.proxy import FaultyProxy
from tests.cluster.proxy_faults import Answer, DropAnswer
from tests.integration.kubernetes.controlling import (
    PORTS,
    connected,
    installed_token,
    owner_in,
    pod_in,
    refusal_of,
    service_in,
    stored_service,
    update_of,
)


@frozen
class _Behind:
    """A platform behind a proxy that goes wrong by order."""

    platform: KubernetesClusterPlatform
    proxy: FaultyProxy


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tokens(api_server: ApiServer) -> dict[str, str]:
    accounts = {"controller": "akri-controller", "stranger": "stranger"}
    return {name: await installed_token(api_server, account) for name, account in accounts.items()}


@pytest_asyncio.fixture
async def behind(api_server: ApiServer, tokens: dict[str, str]) -> AsyncGenerator[_Behind]:
    async with FaultyProxy(api_server.url, api_server.ca_file) as proxy, connected(api_server, tokens["controller"], proxy.url) as client:
        yield _Behind(KubernetesClusterPlatform(client, SystemClock()), proxy)
        assert proxy.orders.open == 0


@pytest_asyncio.fixture
async def stranger(api_server: ApiServer, tokens: dict[str, str]) -> AsyncGenerator[ApiClient]:
    async with connected(api_server, tokens["stranger"]) as client:
        yield client


@pytest_asyncio.fixture
async def owner(admin: Admin, namespace: str) -> OwnerReference:
    return await owner_in(admin, namespace)


async def test_a_creation_without_answer_is_unknown_and_the_next_one_finds_it_done(
    behind: _Behind, admin: Admin, namespace: str, owner: OwnerReference
) -> None:
    behind.proxy.orders.add(DropAnswer(), verb="create", resource="services")

    assert isinstance(await behind.platform.execute(service_in(namespace, owner)), Unknown)
    made = await stored_service(admin, namespace)
    assert await behind.platform.execute(service_in(namespace, owner)) == Done(None)
    assert await stored_service(admin, namespace) == made


async def test_a_deletion_without_answer_is_unknown_and_the_next_one_finds_it_done(
    behind: _Behind, admin: Admin, namespace: str, owner: OwnerReference
) -> None:
    action = pod_in(namespace, owner)
    assert await behind.platform.execute(action) == Done(None)
    path = f"/api/v1/namespaces/{namespace}/pods/{action.key.name}"
    deletion = DeletePod(action.key, (await admin.get(path))["metadata"]["uid"], Reason.BROKER_REMOVED, "")
    behind.proxy.orders.add(DropAnswer(), verb="delete", resource="pods")

    assert isinstance(await behind.platform.execute(deletion), Unknown)
    assert await admin.find(path) is None
    assert await behind.platform.execute(deletion) == Done(None)


async def test_a_deletion_that_met_a_conflict_is_judged_by_what_is_there(
    behind: _Behind, admin: Admin, namespace: str, owner: OwnerReference
) -> None:
    action = pod_in(namespace, owner)
    await behind.platform.execute(action)
    path = f"/api/v1/namespaces/{namespace}/pods/{action.key.name}"
    deletion = DeletePod(action.key, (await admin.get(path))["metadata"]["uid"], Reason.BROKER_REMOVED, "")
    orders = behind.proxy.orders

    orders.add(Answer(409), verb="delete")
    assert refusal_of(await behind.platform.execute(deletion))[0] is Refusal.CONFLICT
    orders.add(Answer(409), verb="delete")
    orders.add(Answer(500), verb="get", times=20)
    assert isinstance(await behind.platform.execute(deletion), Unknown)
    orders.clear()
    orders.add(Answer(409, took_effect=True), verb="delete")
    assert await behind.platform.execute(deletion) == Done(None)
    assert await admin.find(path) is None


async def test_a_change_is_planned_anew_after_conflicts_but_not_for_ever(
    behind: _Behind, admin: Admin, namespace: str, owner: OwnerReference
) -> None:
    await behind.platform.execute(service_in(namespace, owner))
    made = await stored_service(admin, namespace)
    update = update_of(made, {**PORTS, "ports": [{"name": "rtsp", "port": 555}]})

    behind.proxy.orders.add(Answer(409), verb="patch", resource="services", times=4)
    assert isinstance(await behind.platform.execute(update), Unknown)
    assert await stored_service(admin, namespace) == made
    behind.proxy.orders.add(Answer(409), verb="patch", resource="services", times=3)
    assert await behind.platform.execute(update) == Done(None)
    assert (await stored_service(admin, namespace))["spec"]["ports"][0]["port"] == 555


async def test_a_change_without_answer_is_unknown(behind: _Behind, admin: Admin, namespace: str, owner: OwnerReference) -> None:
    await behind.platform.execute(service_in(namespace, owner))
    update = update_of(await stored_service(admin, namespace), PORTS)
    behind.proxy.orders.add(DropAnswer(), verb="patch", resource="services")

    assert isinstance(await behind.platform.execute(update), Unknown)
    assert (await stored_service(admin, namespace))["metadata"]["annotations"] == {"akri.sh/broker-hash": "b"}
    assert await behind.platform.execute(update) == Done(None)


async def test_a_status_or_a_deleted_report_without_answer_raises(behind: _Behind, admin: Admin, namespace: str) -> None:
    key = ObjectKey(namespace, "cam")
    metadata = {"name": "cam", "namespace": namespace}
    manifest = {"apiVersion": "akri.sh/v0", "kind": "Configuration", "metadata": metadata, "spec": {"discoveryHandler": {"name": "udev"}}}
    uid = (await admin.create(manifest))["metadata"]["uid"]
    behind.proxy.orders.add(DropAnswer(), verb="patch", resource="configurations")
    behind.proxy.orders.add(DropAnswer(), verb="delete", resource="discoveryreports")

    with pytest.raises(OutcomeUnknownError):
        await behind.platform.set_status(key, uid, ConfigurationStatus(1))
    with pytest.raises(OutcomeUnknownError):
        await behind.platform.delete_report(DiscoveryReport(key, uid, NodeName("node-a"), 1, 0.0))


async def test_a_token_that_must_not_write_is_told_so(stranger: ApiClient, namespace: str, owner: OwnerReference) -> None:
    platform, actions = KubernetesClusterPlatform(stranger, SystemClock()), Actions(stranger, SystemClock())
    key = ObjectKey(namespace, "cam")

    for action in (
        pod_in(namespace, owner),
        DeletePod(ObjectKey(namespace, "a"), "uid", Reason.BROKER_REMOVED, ""),
        DropFinalizers("Configuration", key, ("node-x",)),
    ):
        assert refusal_of(await actions.execute(action))[0] is Refusal.FORBIDDEN
    with pytest.raises(NotPermittedError, match="status of Configuration"):
        await platform.set_status(key, "uid", ConfigurationStatus(1))
    with pytest.raises(NotPermittedError, match="report of node node-a"):
        await platform.delete_report(DiscoveryReport(key, "uid", NodeName("node-a"), 1, 0.0))
