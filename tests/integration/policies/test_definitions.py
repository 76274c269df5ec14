"""The definitions and policies as the API server takes them: over upstream's, with their bounds, and with the fields that never change."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from tests.cluster.admin import Admin, Manifest, RequestError, read_manifests
from tests.cluster.api_server import ApiServer
from tests.cluster.processes import eventually
from tests.integration.policies.attempts import Attempt
from tests.integration.policies.conftest import DEPLOY
from tests.integration.policies.edits import nothing, spec, use
from tests.integration.policies.objects import Edit, created, edited, report, shared
from tests.integration.policies.sending import NODES, Agents, Way, content, new_name
from tests.unit.core.upstream_samples import UPSTREAM, samples

DEFINITIONS: Final = {each["spec"]["names"]["kind"]: each for each in read_manifests(DEPLOY / "crds")}
_STRICT: Final = {"fieldValidation": "Strict"}


def sample_ids(sample: Mapping[str, Any]) -> str:
    return f"{sample['kind']} {sample['metadata']['name']}"


def fresh(sample: Mapping[str, Any], namespace: str) -> Manifest:
    """The sample as its author applied it: without what a server had written into it."""
    manifest: Manifest = deepcopy(dict(sample))
    kept = {name: value for name, value in manifest["metadata"].items() if name in {"name", "labels", "annotations", "finalizers"}}
    return {"apiVersion": "akri.sh/v0", **manifest, "metadata": {**kept, "namespace": namespace}}


SAMPLES: Final = [*samples("Configuration"), *samples("Instance")]


@pytest.mark.parametrize("sample", SAMPLES, ids=sample_ids)
async def test_upstreams_samples_are_accepted(agents: Agents, sample: Mapping[str, Any]) -> None:
    manifest = fresh(sample, agents.namespace)
    stored = await agents.admin.create(manifest, parameters=_STRICT)
    assert stored["spec"] == {**stored["spec"], **manifest["spec"]}


async def test_what_upstream_stored_lives_on_under_our_definitions(fresh_api_server: ApiServer, tmp_path: Path) -> None:
    """Upstream's definitions, its objects with its finalizers in them, then ours over them: all are read, and agents write them."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    for file in (UPSTREAM / "crds").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    async with fresh_api_server.admin() as admin:
        await admin.install(folder)
        for number, sample in enumerate(SAMPLES):
            namespace = f"upstream-{number}"
            await admin.ensure("Namespace", namespace)
            await admin.create(fresh(sample, namespace))
        stored = edited(shared("cam-8120fe"), lambda copy: copy["metadata"].update(finalizers=["akri.sh/node-a"], annotations={}))
        stored["spec"]["deviceUsage"] = {"cam-8120fe-1": "node-a"}
        before = await admin.create(stored)
        await admin.install(DEPLOY)
        tokens = {node: await admin.token_for("akri-agent", "akri", node=node) for node in NODES}
        agents = Agents(admin, "default", tokens)
        after = edited(before, use(0, "node-b"))
        await agents.write(Attempt("", "node-b", nothing), Way.JSON, before, after)
        assert content(await admin.get(before)) == content(after)
        for plural, count in (("configurations", len(samples("Configuration"))), ("instances", len(samples("Instance")) + 1)):
            assert len(await admin.list(f"/apis/akri.sh/v0/{plural}")) == count


TOO_LARGE: Final[Mapping[str, Edit]] = {
    "nodes": spec(nodes=[f"n{number}" for number in range(1001)]),
    "deviceUsage": spec(deviceUsage={f"k{number}": "" for number in range(1001)}),
    "brokerProperties": spec(brokerProperties={f"K{number}": "" for number in range(257)}),
    "brokerProperties.P": spec(brokerProperties={"P": "x" * 4097}),
    "deviceUsage.k": spec(deviceUsage={"k": "x" * 4097}),
    "capacity": spec(capacity=1001),
}


@pytest.mark.parametrize("place", TOO_LARGE)
async def test_what_is_too_large_is_refused(agents: Agents, place: str) -> None:
    with pytest.raises(RequestError) as refused:
        await agents.store(edited(created(new_name()), TOO_LARGE[place]))
    assert refused.value.status == 422
    assert f"spec.{place}" in refused.value.message


async def test_the_status_is_written_apart(agents: Agents) -> None:
    manifest = {
        "apiVersion": "akri.sh/v0",
        "kind": "Configuration",
        "metadata": {"name": "cam", "namespace": agents.namespace},
        "spec": {"discoveryHandler": {"name": "debugEcho", "discoveryDetails": ""}, "capacity": 2},
        "status": {"instances": 7},
    }
    stored = await agents.admin.create(manifest)
    assert "status" not in stored
    changed = await agents.admin.replace({**stored, "spec": {}, "status": {"instances": 1}}, subresource="status")
    assert (changed["spec"], changed["status"], changed["metadata"]["generation"]) == (stored["spec"], {"instances": 1}, 1)


CONSTANTS: Final[Mapping[tuple[str, str], Edit]] = {
    ("Instance", "configurationName"): spec(configurationName="dog"),
    ("Instance", "cdiName"): spec(cdiName="akri.sh/dog=8120fe"),
    ("Instance", "shared"): spec(shared=False),
    ("DiscoveryReport", "configurationName"): spec(configurationName="dog"),
    ("DiscoveryReport", "nodeName"): spec(nodeName="node-b"),
}
"""Fields that never change, whoever asks; for each the attack that its rule stops. Those on a report are an administrator's slips."""


@pytest.mark.parametrize(("kind", "field"), CONSTANTS)
async def test_identity_never_changes(agents: Agents, kind: str, field: str) -> None:
    before = await _stored(agents, kind)
    for way in Way:
        for token in (agents.tokens["node-a"], ""):
            with pytest.raises(RequestError) as refused:
                await _attack(evolve(agents, tokens={"node-a": token}), way, before, field)
            assert refused.value.status in ({403, 422} if kind == "DiscoveryReport" and token else {422})
            if refused.value.status == 422:
                assert f"{field} never changes" in refused.value.message
    assert await agents.admin.get(before) == before


async def test_without_its_rule_each_identity_is_changed(fresh_api_server: ApiServer) -> None:
    async with fresh_api_server.admin() as admin:
        await admin.install(DEPLOY)
        token = await admin.token_for("akri-agent", "akri", node="node-a")
        everybody = Agents(admin, "default", {})
        for kind, field in CONSTANTS:
            agents = evolve(everybody, tokens={"node-a": token if kind == "Instance" else ""})
            before = await _stored(agents, kind)
            await admin.apply(_without_rule(kind, field))

            async def passes(agents: Agents = agents, before: Manifest = before, field: str = field) -> bool:
                try:
                    await _attack(agents, Way.MERGE, before, field)
                except RequestError as error:
                    if error.status != 422:
                        raise
                    return False
                return True

            await eventually(passes, seconds=20, what=f"{kind} without the rule on {field}")
            assert (await admin.get(before))["spec"][field] != before["spec"][field]
    rules = [
        (kind, name)
        for kind, definition in DEFINITIONS.items()
        for name, schema in _fields(definition).items()
        if "x-kubernetes-validations" in schema
    ]
    assert sorted(rules) == sorted(CONSTANTS)


async def _stored(agents: Agents, kind: str) -> Manifest:
    return await agents.store(created(new_name()) if kind == "Instance" else report(new_name()))


async def _attack(agents: Agents, way: Way, before: Manifest, field: str) -> None:
    edit = CONSTANTS[before["kind"], field]
    await agents.write(Attempt("", "node-a", edit), way, before, edited(before, edit))


def _fields(definition: Manifest) -> Manifest:
    (version,) = definition["spec"]["versions"]
    found: Manifest = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return found


def _without_rule(kind: str, field: str) -> Manifest:
    definition = deepcopy(DEFINITIONS[kind])
    del _fields(definition)[field]["x-kubernetes-validations"]
    return definition


async def test_the_expressions_fit_the_definitions(fresh_api_server: ApiServer) -> None:
    """The server compares each expression with the schemas, where asked to, and notes what cannot be."""
    async with fresh_api_server.admin() as admin:
        await admin.install(DEPLOY)
        policies = [each for each in read_manifests(DEPLOY) if each["kind"] == "ValidatingAdmissionPolicy"]
        wrong = deepcopy(policies[0])
        wrong["metadata"]["name"] = "wrong"
        wrong["spec"]["validations"] = [{"expression": "object.spec.capacityy == 1"}]
        await admin.create(wrong)
        await fresh_api_server.start_controller_manager("validatingadmissionpolicy-status-controller")
        warnings = {each["metadata"]["name"]: await _warnings(admin, each) for each in [wrong, *policies]}
        assert [name for name, found in warnings.items() if found] == ["wrong"]


async def _warnings(admin: Admin, policy: Manifest) -> list[Manifest]:
    found: list[Manifest] = []

    async def checked() -> bool:
        stored = await admin.get(policy)
        status = stored.get("status", {})
        found[:] = status.get("typeChecking", {}).get("expressionWarnings", [])
        return bool(status.get("observedGeneration") == stored["metadata"]["generation"])

    await eventually(checked, seconds=30, what="the policy to be checked")
    return found
