"""No rule without its attack: with one rule taken out, and nothing else changed, the attack of its name succeeds.

For each rule there is an account with all of an agent's rights and a copy of the policies for this account alone that lacks the
rule. So all are in force at the same time, and those of deploy/ stay as they are. The account `attacker` has a copy that lacks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Final

import pytest
import pytest_asyncio
from attrs import evolve

from tests.cluster.admin import Manifest, RequestError, read_manifests
from tests.cluster.api_server import ApiServer
from tests.integration.policies.attacks import ATTACKS, Attack, Rule
from tests.integration.policies.attempts import DELETIONS
from tests.integration.policies.conftest import DEPLOY
from tests.integration.policies.objects import edited
from tests.integration.policies.sending import Agents, Way, content, new_name

POLICIES: Final = [each for each in read_manifests(DEPLOY) if each["kind"] == "ValidatingAdmissionPolicy"]
ACCOUNT: Final = ":akri-agent"
WHOLE: Final = "attacker"


def rules() -> Iterator[Rule]:
    for policy in POLICIES:
        for validation in policy["spec"]["validations"]:
            yield Rule(policy["metadata"]["name"], validation["message"])


def account_of(rule: Rule) -> str:
    return f"attacker-{list(rules()).index(rule)}"


def copies(account: str, without: Rule | None = None) -> Iterator[Manifest]:
    """The policies for this account, with their bindings, and the account's rights."""
    for policy in deepcopy(POLICIES):
        name = policy["metadata"]["name"]
        (condition,) = policy["spec"]["matchConditions"]
        assert ACCOUNT in condition["expression"]
        condition["expression"] = condition["expression"].replace(ACCOUNT, f":{account}")
        policy["spec"]["validations"] = [
            validation for validation in policy["spec"]["validations"] if without != Rule(name, validation["message"])
        ]
        if not policy["spec"]["validations"]:
            policy["spec"]["validations"] = [{"expression": "true"}]
        copy = f"{account}.{name}"
        policy["metadata"] = {"name": copy}
        yield policy
        specification = {"policyName": copy, "validationActions": ["Deny"]}
        yield {**policy, "kind": "ValidatingAdmissionPolicyBinding", "spec": specification}
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "akri"}
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "akri-agent"}
    yield {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": account},
        "roleRef": role,
        "subjects": [subject],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def attackers(api_server: ApiServer, tokens: Mapping[str, str]) -> Mapping[str, str]:
    """The token of each account on the node of its attack; those of the account with all rules by its name and the node's."""
    found: dict[str, str] = {}
    async with api_server.admin() as admin:
        for account, rule in [(WHOLE, None), *((account_of(rule), rule) for rule in rules())]:
            for manifest in copies(account, rule):
                await admin.apply(manifest)
        for node in {attack.attempt.by for attack in ATTACKS}:
            found[WHOLE + node] = await admin.token_for(WHOLE, "akri", node=node or None)
        for attack in ATTACKS:
            account = account_of(attack.rule)
            found[account] = await admin.token_for(account, "akri", node=attack.attempt.by or None)
        await admin.settled()
    assert tokens
    return found


def test_each_rule_has_its_attack() -> None:
    assert sorted(map(str, rules())) == sorted(str(attack.rule) for attack in ATTACKS)
    assert len(set(rules())) == len(list(rules()))


def named(attack: Attack) -> str:
    return f"{attack.rule.policy}: {attack.attempt.name}"


@pytest.mark.parametrize("attack", ATTACKS, ids=named)
async def test_each_attack_succeeds_without_its_rule_and_only_then(agents: Agents, attackers: Mapping[str, str], attack: Attack) -> None:
    by = attack.attempt.by
    with pytest.raises(RequestError) as refused:
        await _carry_out(evolve(agents, tokens={by: attackers[WHOLE + by]}), attack)
    assert refused.value.status == 403
    await _carry_out(evolve(agents, tokens={by: attackers[account_of(attack.rule)]}), attack)


async def _carry_out(agents: Agents, attack: Attack) -> None:
    """Send the request, and see that it did what it is about."""
    attempt, name = attack.attempt, new_name()
    if attack.rule.policy.startswith(("akri-agent-creates", "akri-agent-writes")):
        wanted = edited(attempt.start(name), attempt.edit)
        assert content(await agents.create(attempt, wanted)) == content(await agents.placed(wanted))
        return
    before = await agents.store(attempt.start(name))
    if attempt in DELETIONS:
        await agents.admin.delete(before, token=agents.tokens[attempt.by])
        assert await agents.admin.find(before) is None
        return
    after = edited(before, attempt.edit)
    assert content(await agents.write(attempt, Way.JSON, before, after)) == content(after)
