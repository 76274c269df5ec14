"""How the storing of a report, and the reading of Secrets and ConfigMaps, ends."""

from __future__ import annotations

import pytest

from akri.core.errors import AkriError, NotPermittedError, OutcomeUnknownError
from akri.core.ids import NodeName, ObjectKey
from akri.core.reports import DiscoveryReport
from akri.platforms.kubernetes.node import KubernetesNodePlatform
from tests.unit.platforms.kubernetes.scripted_server import CUT, Answer, ImpatientClock, listed, status

REPORT = DiscoveryReport(ObjectKey("default", "cam"), "c1", NodeName("node-a"), 3, 1000.0)
KEY = ObjectKey("default", "login")
LOST: Answer = (CUT, {})


async def test_a_report_is_applied_whether_there_is_one_or_not() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer((200, {"kind": "DiscoveryReport", "apiVersion": "akri.sh/v0"}))
        await KubernetesNodePlatform(client, NodeName("node-a"), clock).publish_report(REPORT)
        [asked] = server.asked
    assert (asked.method, asked.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert asked.path == "/apis/akri.sh/v0/namespaces/default/discoveryreports/cam.node-a"
    assert asked.query == {"fieldManager": "akri-agent", "force": "true"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(403, "Forbidden", "not yours"), NotPermittedError),
        (status(409, "Conflict"), OutcomeUnknownError),
        (status(500, "InternalError"), OutcomeUnknownError),
        (LOST, OutcomeUnknownError),
    ],
)
async def test_a_report_that_is_not_stored_raises(answer: Answer, error: type[AkriError]) -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(answer)
        with pytest.raises(error):
            await KubernetesNodePlatform(client, NodeName("node-a"), clock).publish_report(REPORT)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(403, "Forbidden", "rtsp://secret"), NotPermittedError),
        (status(401, "Unauthorized"), OutcomeUnknownError),
        (status(500, "InternalError"), OutcomeUnknownError),
    ],
)
async def test_what_cannot_be_read_raises_and_names_the_object(answer: Answer, error: type[AkriError]) -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(answer)
        node = KubernetesNodePlatform(client, NodeName("node-a"), clock)
        for fetch, kind in ((node.fetch_secret, "Secret"), (node.fetch_config_map, "ConfigMap")):
            with pytest.raises(error) as caught:
                await fetch(KEY)
            if error is NotPermittedError:
                assert str(caught.value) == f"{kind} default/login must not be read: the operator did not grant it"


async def test_data_is_read_and_what_is_not_there_is_none() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        node = KubernetesNodePlatform(client, NodeName("node-a"), clock)
        server.answer((200, {"kind": "Secret", "apiVersion": "v1", "data": {"a": "YQ=="}}), status(404, "NotFound"))
        assert await node.fetch_secret(KEY) == {"a": b"a"}
        assert await node.fetch_secret(KEY) is None
        assert await node.fetch_config_map(KEY) is None
    assert [asked.path.split("/")[-2] for asked in server.asked] == ["secrets", "secrets", "configmaps"]
