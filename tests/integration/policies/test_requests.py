"""Every request of the table, by every way to write: allowed ones pass, forbidden ones are refused, say why, and change nothing."""

from __future__ import annotations

import pytest

from tests.cluster.admin import Manifest, RequestError
from tests.integration.policies.attempts import CHANGES, CREATIONS, DELETIONS, REPORT_CHANGES, REPORT_CREATIONS, Attempt
from tests.integration.policies.objects import edited
from tests.integration.policies.sending import Agents, Way, content, new_name


def named(attempt: Attempt) -> str:
    return attempt.name


def assert_refused(error: RequestError, attempt: Attempt, manifest: Manifest) -> None:
    """The refusal is one by a rule, and says which and whose."""
    assert attempt.refusal is not None
    part = attempt.refusal.format(name=manifest["metadata"]["name"])
    assert (error.status, error.body["reason"]) == (403, "Forbidden"), error
    assert part in error.message
    if attempt.by:
        assert f"node {attempt.by}" in error.message


@pytest.mark.parametrize("apply", [False, True], ids=["post", "apply"])
@pytest.mark.parametrize("attempt", [*CREATIONS, *REPORT_CREATIONS], ids=named)
async def test_creations(agents: Agents, attempt: Attempt, *, apply: bool) -> None:
    manifest = edited(attempt.start(new_name()), attempt.edit)
    if attempt.refusal is None:
        made = await agents.create(attempt, manifest, apply=apply)
        assert content(made) == content(await agents.placed(manifest))
        return
    with pytest.raises(RequestError) as refused:
        await agents.create(attempt, manifest, apply=apply)
    assert_refused(refused.value, attempt, manifest)
    assert await agents.admin.find(await agents.placed(manifest)) is None


@pytest.mark.parametrize("attempt", [*CHANGES, *REPORT_CHANGES], ids=named)
async def test_changes(agents: Agents, attempt: Attempt) -> None:
    tried = {way for way in Way if await _change(agents, attempt, way)}
    assert tried >= {Way.PUT, Way.MERGE, Way.JSON}


async def _change(agents: Agents, attempt: Attempt, way: Way) -> bool:
    before = await agents.store(attempt.start(new_name()))
    after = edited(before, attempt.edit)
    if not await agents.expresses(attempt, way, before, after):
        return False
    if attempt.refusal is None:
        await agents.write(attempt, way, before, after)
        assert content(await agents.admin.get(before)) == content(after), way
        return True
    with pytest.raises(RequestError) as refused:
        await agents.write(attempt, way, before, after)
    assert_refused(refused.value, attempt, before)
    assert await agents.admin.get(before) == before, way
    return True


async def test_server_side_apply_is_tried_where_it_can_be(agents: Agents) -> None:
    """What `expresses` leaves out are removals and lists put in another order; most of the table is left."""
    attempts = [*CHANGES, *REPORT_CHANGES]
    left: list[str] = []
    for attempt in attempts:
        before = await agents.store(attempt.start(new_name()))
        if await agents.expresses(attempt, Way.APPLY, before, edited(before, attempt.edit)):
            left.append(attempt.name)
    assert len(left) > 0.6 * len(attempts)


@pytest.mark.parametrize("preconditions", [False, True], ids=["plain", "with preconditions"])
@pytest.mark.parametrize("attempt", DELETIONS, ids=named)
async def test_deletions(agents: Agents, attempt: Attempt, *, preconditions: bool) -> None:
    stored = await agents.store(attempt.start(new_name()))
    metadata = stored["metadata"]
    body = {"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}} if preconditions else None
    path, token = await agents.admin.path(stored), agents.tokens[attempt.by]
    if attempt.refusal is None:
        await agents.admin.request("DELETE", path, body, token=token)
        assert await agents.admin.find(path) is None
        return
    with pytest.raises(RequestError) as refused:
        await agents.admin.request("DELETE", path, body, token=token)
    assert_refused(refused.value, attempt, stored)
    assert await agents.admin.get(path) == stored
