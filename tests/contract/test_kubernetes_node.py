"""What the contract leaves open and the Kubernetes platform promises beyond it: how many requests, under which name, in which words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from attrs import evolve

from akri.core.configuration import Configuration, UnreadableConfiguration
from akri.core.ids import ObjectKey, ResourceName
from akri.core.reports import Event, Reason
from akri.core.usage import HeldByNode
from akri.ports import Done, Refused, Unknown
from tests.contract.driver import A, B, C, configuration, done, made, slot, until, watching

if TYPE_CHECKING:  # they load aiohttp and the test cluster: not in runs that do without
    from tests.contract.kubernetes_driver import KubernetesDriver
    from tests.contract.kubernetes_server import ContractServer

pytestmark = pytest.mark.timeout(180)
CAM = ResourceName("akri.sh/cam-8120fe")


@pytest_asyncio.fixture
async def real(contract_server: ContractServer) -> AsyncGenerator[KubernetesDriver]:
    """An API server, no faults, and a proxy that counts."""
    from tests.contract import kubernetes_driver  # noqa: PLC0415 # see above

    async with kubernetes_driver.kubernetes(contract_server) as driver:
        yield driver


async def test_each_write_costs_as_many_requests_as_it_must(real: KubernetesDriver) -> None:
    node, count = real.node(A), real.proxy.requests
    instance = await made(real, A)
    assert dict(count) == {("create", "instances"): 1}
    joined = done(await real.node(B).join(instance.key, instance.metadata.uid, B))
    assert dict(count) == {("create", "instances"): 1, ("patch", "instances"): 1}
    count.clear()
    claimed = done(await node.claim(instance.key, slot(instance), HeldByNode(A)))
    assert dict(count) == {("patch", "instances"): 1}
    released = done(await node.release(claimed, slot(instance), HeldByNode(A)))
    assert dict(count) == {("patch", "instances"): 2}
    fenced = done(await node.fence(instance.key))
    assert dict(count) == {("patch", "instances"): 3}
    count.clear()
    await node.update(evolve(fenced, capacity=3))
    assert dict(count) == {("get", "instances"): 1, ("patch", "instances"): 1}
    count.clear()
    await node.leave(instance.key, instance.metadata.uid, A)
    assert dict(count) == {("get", "instances"): 1, ("patch", "instances"): 1}
    assert joined.nodes == released.nodes == (A, B)


async def test_a_claim_of_a_missing_key_is_one_effective_write(real: KubernetesDriver) -> None:
    instance = await made(real, A)
    bare = await real.put_instance(evolve(instance, device_usage={}))
    real.proxy.requests.clear()
    claimed = done(await real.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    assert claimed.device_usage == {str(slot(instance)): A}
    assert dict(real.proxy.requests) == {("patch", "instances"): 2, ("get", "instances"): 1}
    assert bare.device_usage == {}


async def test_claims_of_different_slots_all_succeed_however_many_write_at_once(real: KubernetesDriver) -> None:
    instance = await made(real, A, B, C, capacity=12)
    nodes = [A, B, C] * 4
    claims = (real.node(node).claim(instance.key, slot(instance, index), HeldByNode(node)) for index, node in enumerate(nodes))
    outcomes = await asyncio.gather(*claims)
    assert [outcome for outcome in outcomes if not isinstance(outcome, Done)] == []
    current = await real.node(A).read_instance(instance.key)
    assert current is not None
    assert current.device_usage == {str(slot(instance, index)): node for index, node in enumerate(nodes)}


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_release_that_the_network_delivers_late_fails_once_it_is_fenced(real: KubernetesDriver, *, fenced: bool) -> None:
    from tests.cluster.proxy_faults import Late  # noqa: PLC0415 # see above

    instance = await made(real, A)
    claimed = done(await real.node(A).claim(instance.key, slot(instance), HeldByNode(A)))
    real.proxy.orders.add(Late(1.0), verb="patch", resource="instances")
    assert isinstance(await real.node(A).release(claimed, slot(instance), HeldByNode(A)), Unknown)
    if fenced:
        assert done(await real.node(A).fence(instance.key)).device_usage[str(slot(instance))] == A
    await real.proxy.settle()
    assert [happened.status for happened in real.proxy.happened] == [422 if fenced else 200]
    current = await real.node(A).read_instance(instance.key)
    assert current is not None
    assert current.device_usage[str(slot(instance))] == (A if fenced else "")


async def test_a_claim_whose_answer_is_lost_is_sent_once(real: KubernetesDriver) -> None:
    from tests.cluster.proxy_faults import DropAnswer  # noqa: PLC0415 # see above

    instance = await made(real, A)
    real.proxy.requests.clear()
    real.proxy.orders.add(DropAnswer(), verb="patch", resource="instances")
    assert isinstance(await real.node(A).claim(instance.key, slot(instance), HeldByNode(A)), Unknown)
    assert dict(real.proxy.requests) == {("patch", "instances"): 1}
    current = await real.node(A).read_instance(instance.key)
    assert current is not None
    assert current.device_usage[str(slot(instance))] == A


async def test_all_agents_write_under_one_name(real: KubernetesDriver) -> None:
    instance = await made(real, A, B)
    for index, node in enumerate((A, B)):
        done(await real.node(node).claim(instance.key, slot(instance, index), HeldByNode(node)))
        done(await real.node(node).fence(instance.key))
    stored = await real.admin.get(f"/apis/akri.sh/v0/namespaces/default/instances/{instance.name}")
    assert {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {"akri-agent"}


async def test_a_policy_is_quoted_with_its_reason(real: KubernetesDriver) -> None:
    instance = await made(real, A)
    for outcome, words in (
        (await real.node(B).claim(instance.key, slot(instance), HeldByNode(B)), "node node-b is not in spec.nodes"),
        (await real.node(A).claim(instance.key, slot(instance), HeldByNode(B)), "must not write node-b into slot"),
        (await real.node(B).fence(instance.key), "it is not in spec.nodes and holds no slot"),
    ):
        assert isinstance(outcome, Refused)
        assert words in outcome.message


async def test_an_unusable_configuration_is_shown_beside_the_others(real: KubernetesDriver) -> None:
    await real.apply(configuration())
    bad = {
        "apiVersion": "akri.sh/v0",
        "kind": "Configuration",
        "metadata": {"name": "bad", "namespace": "default"},
        "spec": {"capacity": 0},
    }
    await real.admin.create(bad)
    async with watching(real, real.node(A).watch_configurations(), lambda shown: shown.key) as seen:
        kinds = {key.name: type(shown) for key, shown in seen.state.items()}
    assert kinds == {"cam": Configuration, "bad": UnreadableConfiguration}


async def test_an_event_is_found_by_those_who_look_at_the_object(real: KubernetesDriver) -> None:
    instance = await made(real, A)
    message = f"seen at {real.clock.wall()}"
    event = Event("Instance", instance.key, Reason.DEVICE_FOUND, message)
    for _ in range(3):
        await real.node(A).emit(event)
    await real.cluster().emit(evolve(event, reason=Reason.NODE_LOST, warning=True))
    parameters = {"fieldSelector": f"involvedObject.uid={instance.metadata.uid}"}

    async def told() -> bool:
        return len(await real.admin.list("/api/v1/namespaces/default/events", parameters=parameters)) == 2

    await until(real, told)
    found = await real.admin.list("/api/v1/namespaces/default/events", parameters=parameters)
    told_by = {(item["reason"], item["type"], item["message"], item["source"]["component"]) for item in found}
    assert told_by == {
        ("DeviceFound", "Normal", message, "akri.sh/agent"),
        ("NodeLost", "Warning", message, "akri.sh/controller"),
    }


async def test_a_pod_asks_for_what_its_containers_have_at_one_time(real: KubernetesDriver) -> None:
    def container(name: str, count: int, **more: str) -> dict[str, object]:
        return {"name": name, "image": "localhost/none:1", "resources": {"limits": {CAM: str(count)}}, **more}

    specification = {
        "nodeName": A,
        "automountServiceAccountToken": False,
        "initContainers": [container("side", 1, restartPolicy="Always"), container("init", 2000)],
        "containers": [container("main", 1), container("other", 2)],
    }
    key = ObjectKey("default", "user")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": key.name, "namespace": key.namespace}, "spec": specification}
    stored = await real.admin.create(pod)
    # The server writes thousands with a letter.
    assert stored["spec"]["initContainers"][1]["resources"]["limits"] == {CAM: "2k"}
    async with watching(real, real.node(A).watch_pods(), lambda shown: shown.key) as seen:
        assert seen.state[key].requests == {CAM: 2001}
