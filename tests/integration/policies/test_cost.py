"""The largest objects that the schema allows stay within the API server's budgets: definitions are accepted, and rules come to an end.

A rule may cost 1,000,000 units and a policy 10,000,000 in one request; beyond that the request is refused, whatever it is.
"""

from __future__ import annotations

from typing import Final

import pytest

from akri.core.configuration import MAXIMUM_CAPACITY
from akri.core.crd import MAXIMUM_NODES
from akri.core.device import MAXIMUM_PROPERTIES, MAXIMUM_TEXT
from tests.cluster.admin import Manifest, RequestError
from tests.integration.policies.attempts import Attempt
from tests.integration.policies.edits import add_key, annotate, drop_key, fence, meta, spec, use
from tests.integration.policies.objects import FENCE, created, edited, owner, together
from tests.integration.policies.sending import Agents, Way, content, new_name

CONFIGURATION: Final = "c" * 54
FILLING: Final = ".".join(["n" * 60] * 4)
NODES: Final = [f"{number:04}.{FILLING}" for number in range(MAXIMUM_NODES)]
"""Names of 248 characters; 253 are allowed."""
ME: Final = "node-b"
THEIRS: Final = f"C:{CONFIGURATION}-999:{NODES[0]}"


def large(name: str, *, nodes: list[str], usage: dict[int, str]) -> Manifest:
    """An Instance with as many nodes as wanted, all slots held by node 0 through the Configuration, those of `usage` aside."""
    instance = created(f"{CONFIGURATION}-{name.partition('-')[2]}")
    slots = dict.fromkeys(range(MAXIMUM_CAPACITY), THEIRS) | usage
    instance["metadata"]["ownerReferences"] = [owner(name=CONFIGURATION)]
    instance["spec"] |= {
        "configurationName": CONFIGURATION,
        "capacity": MAXIMUM_CAPACITY,
        "nodes": nodes,
        "deviceUsage": {f"{instance['metadata']['name']}-{index}": text for index, text in slots.items()},
    }
    return instance


def everywhere(text: str) -> dict[int, str]:
    return dict.fromkeys(range(MAXIMUM_CAPACITY), text)


def keys(count: int) -> Attempt:
    """The reporter raises the capacity to the largest and adds all keys but those that are there."""
    edits = [use(index, "") for index in range(count, MAXIMUM_CAPACITY)]
    return Attempt("keys", ME, together(spec(capacity=MAXIMUM_CAPACITY), *edits))


LAST: Final = MAXIMUM_CAPACITY - 1
CASES: Final[dict[str, tuple[Attempt, list[str], dict[int, str]]]] = {
    "a claim": (Attempt("", ME, use(LAST, ME)), [*NODES[1:], ME], {LAST: ""}),
    "a claim through the Configuration": (Attempt("", ME, use(LAST, f"C:{CONFIGURATION}-999:{ME}")), [*NODES[1:], ME], {LAST: ""}),
    "a release": (Attempt("", ME, use(LAST, "")), NODES, {LAST: ME}),
    "a release of all": (Attempt("", ME, together(*(use(index, "") for index in range(LAST)))), NODES, everywhere(f"C:c-999:{ME}")),
    "a claim of all": (Attempt("", ME, together(*(use(index, ME) for index in range(LAST)))), [*NODES[1:], ME], everywhere("")),
    "a fence by a holder": (Attempt("", ME, fence("1")), NODES, {LAST: f"C:{CONFIGURATION}-999:{ME}"}),
    "the last join": (Attempt("", ME, spec(nodes=[*NODES[1:], ME])), NODES[1:], {}),
    "a leave": (Attempt("", ME, spec(nodes=NODES[1:])), [*NODES[1:], ME], {}),
    "many annotations": (Attempt("", ME, together(*(annotate(f"a{index}", "x") for index in range(10_000)))), [ME], {}),
    "a slot taken": (Attempt("", ME, use(LAST, ME), f"must not change slot {{name}}-{LAST}, which is held by C:"), [*NODES[1:], ME], {}),
    "a key removed": (Attempt("", ME, drop_key(LAST), "node node-b must not add or remove"), [*NODES[1:], ME], {LAST: ""}),
    "a key beyond": (Attempt("", ME, together(drop_key(0), add_key("x")), "node node-b must not add x"), [ME], {0: ""}),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_largest_instance_is_within_the_budget(agents: Agents, case: str) -> None:
    attempt, nodes, usage = CASES[case]
    before = await agents.store(large(new_name(), nodes=nodes, usage=usage))
    after = edited(before, attempt.edit)
    if attempt.refusal is None:
        await agents.write(attempt, Way.JSON, before, after)
        assert content(await agents.admin.get(before)) == content(after)
        return
    with pytest.raises(RequestError) as refused:
        await agents.write(attempt, Way.JSON, before, after)
    assert refused.value.status == 403
    assert attempt.refusal.format(name=before["metadata"]["name"]) in refused.value.message


async def test_all_keys_are_added_at_once(agents: Agents) -> None:
    instance = large(new_name(), nodes=[ME, *NODES[1:]], usage={})
    first = next(iter(instance["spec"]["deviceUsage"]))
    instance["spec"] |= {"capacity": 1, "deviceUsage": {first: ""}}
    before = await agents.store(instance)
    await agents.write(keys(1), Way.MERGE, before, edited(before, keys(1).edit))
    assert len((await agents.admin.get(before))["spec"]["deviceUsage"]) == MAXIMUM_CAPACITY


async def test_the_largest_properties_are_written(agents: Agents) -> None:
    stored = await agents.store(created(new_name()))
    properties: dict[str, str] = {}
    for half in (range(MAXIMUM_PROPERTIES // 2), range(MAXIMUM_PROPERTIES // 2, MAXIMUM_PROPERTIES)):
        properties |= {f"P{index}": "x" * MAXIMUM_TEXT for index in half}
        attempt = Attempt("", "node-a", spec(brokerProperties=dict(properties)))
        stored = await agents.write(attempt, Way.MERGE, stored, edited(stored, attempt.edit))
    assert len(stored["spec"]["brokerProperties"]) == MAXIMUM_PROPERTIES


async def test_a_fence_beside_many_annotations(agents: Agents) -> None:
    instance = large(new_name(), nodes=[*NODES[1:], ME], usage={})
    instance["metadata"]["annotations"] |= {f"a{index}": "x" for index in range(5_000)}
    before = await agents.store(instance)
    attempt = Attempt("", ME, fence("1"))
    stored = await agents.write(attempt, Way.JSON, before, edited(before, attempt.edit))
    assert stored["metadata"]["annotations"] == {**before["metadata"]["annotations"], FENCE: "1"}


async def test_the_largest_instance_is_created_and_deleted(agents: Agents) -> None:
    instance = large(new_name(), nodes=[ME], usage=everywhere(""))
    attempt = Attempt("", ME, meta())
    await agents.create(attempt, instance)
    await agents.admin.delete(await agents.placed(instance), token=agents.tokens[ME])
    crowded = await agents.store(large(new_name(), nodes=NODES, usage={}))
    with pytest.raises(RequestError, match="node node-b must not delete"):
        await agents.admin.delete(crowded, token=agents.tokens[ME])
