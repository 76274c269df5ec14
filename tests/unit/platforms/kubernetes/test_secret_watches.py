"""How Secrets and ConfigMaps are followed: what is asked of the server, and that nothing of what it sends shows up in errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import pytest

from akri.core.errors import AkriError, NotPermittedError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.platforms.kubernetes.secrets import watch_config_map, watch_secret
from tests.unit.platforms.kubernetes.scripted_server import CUT, Answer, ImpatientClock, listed, status

KEY = ObjectKey("default", "login")
LOST: Answer = (CUT, {})
NEWS: Answer = (200, {"kind": "Secret", "data": {"a": "bWFya2Vy"}, "text": "marker"})


def _secret(data: str, revision: str) -> Answer:
    return 200, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "login", "resourceVersion": revision}, "data": {"a": data}}


async def test_news_are_a_reason_to_read_again_and_only_changes_are_told() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(_secret("YQ==", "7"), NEWS, _secret("YQ==", "8"), NEWS, _secret("Yg==", "9"), NEWS, status(404, "NotFound"))
        async with aclosing(watch_secret(client, KEY, clock)) as states:
            assert [await anext(states) for _ in range(3)] == [{"a": b"a"}, {"a": b"b"}, None]
        asked = server.asked
    assert [one.path.removeprefix("/api/v1/namespaces/default/") for one in asked[:2]] == ["secrets/login", "secrets"]
    watched = {"watch": "1", "fieldSelector": "metadata.name=login", "timeoutSeconds": "20"}
    assert [one.query for one in asked] == [
        {},
        {**watched, "resourceVersion": "7"},
        {},
        {**watched, "resourceVersion": "8"},
        {},
        {**watched, "resourceVersion": "9"},
        {},
    ]


async def test_what_is_not_there_is_waited_for() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(status(404, "NotFound"), NEWS, (200, {"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "text"}}))
        async with aclosing(watch_config_map(client, KEY, clock)) as states:
            assert [await anext(states), await anext(states)] == [None, {"a": b"text"}]
        assert "resourceVersion" not in server.asked[1].query


async def test_where_only_reading_was_granted_it_is_read_every_ten_seconds() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(_secret("YQ==", "7"), status(403, "Forbidden"), _secret("Yg==", "8"))
        async with aclosing(watch_secret(client, KEY, clock)) as states:
            assert await anext(states) == {"a": b"a"}
            began = clock.now()
            assert await anext(states) == {"a": b"b"}
            assert 10.0 <= clock.now() - began < 15.0


async def test_a_revision_that_the_server_forgot_is_read_anew() -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(_secret("YQ==", "7"), status(410, "Expired"), _secret("Yg==", "8"))
        async with aclosing(watch_secret(client, KEY, clock)) as states:
            assert [await anext(states), await anext(states)] == [{"a": b"a"}, {"a": b"b"}]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ((status(403, "Forbidden", "marker"),), NotPermittedError),
        ((_secret("bWFya2Vy", "7"), status(400, "BadRequest")), OutcomeUnknownError),
        ((_secret("bWFya2Vy", "7"), LOST), OutcomeUnknownError),
    ],
)
async def test_what_fails_raises_and_quotes_nothing(answers: tuple[Answer, ...], error: type[AkriError]) -> None:
    clock = ImpatientClock()
    async with listed(clock) as (server, client):
        server.answer(*answers)
        async with aclosing(watch_secret(client, KEY, clock)) as states:
            with pytest.raises(error) as caught:
                await _last(states)
    assert "marker" not in str(caught.value)
    assert "bWFya2Vy" not in str(caught.value)


async def _last(states: AsyncIterator[Mapping[str, bytes] | None]) -> None:
    async for _ in states:
        pass
