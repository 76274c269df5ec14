"""What RBAC lets the programs ask for, and all the rest that it does not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final, cast

import pytest
from attrs import frozen

from akri.core.ids import ConfigurationName, NodeName
from akri.core.naming import report_name
from akri.manifests import read_manifests as read_texts
from tests.cluster.admin import JSON_PATCH, MERGE_PATCH, Admin, Manifest, RequestError, read_manifests
from tests.docs.examples import ROOT, examples
from tests.integration.policies.conftest import DEPLOY
from tests.integration.policies.edits import rename, spec
from tests.integration.policies.objects import created, edited, report, shared, slot, together
from tests.integration.policies.sending import Agents, new_name

AKRI: Final = "/apis/akri.sh/v0"


@frozen
class Right:
    """Verbs on a resource; `resource` with its group behind a dot and its subresource behind a slash, as kubectl has it."""

    verbs: str
    resource: str


ALL: Final = "get list watch create update patch delete deletecollection"
AGENT_MAY: Final = (
    Right("get list watch", "configurations.akri.sh"),
    Right("get list watch create update patch delete", "instances.akri.sh"),
    Right("get create update patch", "discoveryreports.akri.sh"),
    Right("get list watch", "pods"),
    Right("create patch", "events"),
    Right("create patch", "events.events.k8s.io"),
)
CONTROLLER_MAY: Final = (
    Right("get list watch update patch", "configurations.akri.sh"),
    Right("get update patch", "configurations.akri.sh/status"),
    Right("get list watch update patch delete", "instances.akri.sh"),
    Right("get list watch delete", "discoveryreports.akri.sh"),
    Right("get list watch", "nodes"),
    Right("get list watch create delete", "pods"),
    Right("get list watch create delete", "jobs.batch"),
    Right("get list watch create update patch delete", "services"),
    Right("create patch", "events"),
    Right("create patch", "events.events.k8s.io"),
)
WORTH_ASKING_FOR: Final = (
    *(f"{plural}.akri.sh{part}" for plural in ("configurations", "instances", "discoveryreports") for part in ("", "/status")),
    *(f"{plural}{part}" for plural in ("pods", "nodes", "services") for part in ("", "/status", "/proxy")),
    *(
        "pods/exec",
        "pods/log",
        "pods/eviction",
        "pods/binding",
        "pods/ephemeralcontainers",
        "secrets",
        "configmaps",
        "namespaces",
        "events",
    ),
    *("serviceaccounts", "serviceaccounts/token", "persistentvolumes", "jobs.batch", "daemonsets.apps", "deployments.apps"),
    *("events.events.k8s.io", "leases.coordination.k8s.io", "customresourcedefinitions.apiextensions.k8s.io"),
    *("validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io"),
    *("mutatingwebhookconfigurations.admissionregistration.k8s.io", "tokenreviews.authentication.k8s.io"),
    *("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io"),
    *("certificatesigningrequests.certificates.k8s.io",),
)
"""Resources that an intruder would ask for, each with all verbs."""


def questions(may: tuple[Right, ...]) -> Iterator[tuple[str, str, bool]]:
    """Verb, resource, and whether it is granted."""
    granted = {(verb, right.resource) for right in may for verb in right.verbs.split()}
    resources = {*WORTH_ASKING_FOR, *(right.resource for right in may)}
    for resource in sorted(resources):
        for verb in ALL.split():
            yield verb, resource, (verb, resource) in granted
    for verb, resource in (
        ("impersonate", "users"),
        ("impersonate", "serviceaccounts"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io"),
    ):
        yield verb, resource, False


@pytest.mark.parametrize(("account", "may"), [("akri-agent", AGENT_MAY), ("akri-controller", CONTROLLER_MAY)])
async def test_rights(admin: Admin, tokens: dict[str, str], account: str, may: tuple[Right, ...]) -> None:
    assert tokens
    wrong = [
        f"{verb} {resource}: expected {expected}"
        for verb, resource, expected in questions(may)
        if await _allowed(admin, account, verb, resource) != expected
    ]
    assert wrong == []


async def _allowed(admin: Admin, account: str, verb: str, resource: str) -> bool:
    path, _, subresource = resource.partition("/")
    plural, _, group = path.partition(".")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "namespace": "default"}
    groups = ["system:serviceaccounts", "system:serviceaccounts:akri", "system:authenticated"]
    review: Manifest = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"system:serviceaccount:akri:{account}", "groups": groups, "resourceAttributes": attributes},
    }
    answer = await admin.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_the_policies_know_everybody_who_has_an_agents_rights() -> None:
    """Whoever is bound to an agent's role has an account of the name that the policies look for."""
    manifests = read_manifests(DEPLOY)
    bound = [
        subject
        for each in manifests
        if each["kind"] in {"ClusterRoleBinding", "RoleBinding"} and each["roleRef"]["name"] == "akri-agent"
        for subject in each["subjects"]
    ]
    assert [(subject["kind"], subject["name"]) for subject in bound] == [("ServiceAccount", "akri-agent")]
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests if each["kind"] == "ValidatingAdmissionPolicy"}
    bindings = {each["spec"]["policyName"]: each["spec"] for each in manifests if each["kind"] == "ValidatingAdmissionPolicyBinding"}
    known = "request.userInfo.username.startsWith('system:serviceaccount:') && request.userInfo.username.endsWith(':akri-agent')"
    for name, policy in policies.items():
        assert [condition["expression"] for condition in policy["matchConditions"]] == [known]
        assert policy["failurePolicy"] == "Fail"
        assert {validation["reason"] for validation in policy["validations"]} == {"Forbidden"}
        assert bindings[name] == {"policyName": name, "validationActions": ["Deny"]}


async def test_other_ways_to_an_instance_are_closed(agents: Agents) -> None:
    """Collections, subresources, a creation by PUT: refused before any rule is asked, and nothing is changed."""
    stored = await agents.store(shared(new_name()))
    path = await agents.admin.path(stored)
    missing = edited(created(new_name()), lambda copy: copy["metadata"].update(namespace=agents.namespace))
    steal = {"spec": {"deviceUsage": {slot(stored["metadata"]["name"], 1): "node-b"}}}
    tries = (
        ("DELETE", path.rpartition("/")[0], None, "application/json", 403),
        ("PATCH", f"{path}/status", steal, MERGE_PATCH, 403),
        ("PUT", f"{path}/status", stored, "application/json", 403),
        ("PATCH", f"{path}/scale", [{"op": "add", "path": "/spec/capacity", "value": 9}], JSON_PATCH, 403),
        ("PUT", await agents.admin.path(missing), missing, "application/json", 404),
    )
    for method, where, body, kind, status in tries:
        with pytest.raises(RequestError) as refused:
            await agents.admin.request(method, where, body, content_type=kind, token=agents.tokens["node-b"])
        assert refused.value.status == status, where
    assert await agents.admin.get(stored) == stored
    assert await agents.admin.find(missing) is None


async def test_a_generated_name_is_held_to_the_same_rule(agents: Agents) -> None:
    made = await agents.admin.create(await _generated(agents, "cam-"), token=agents.tokens["node-a"])
    assert made["metadata"]["name"].startswith("cam-")
    with pytest.raises(RequestError, match=r"metadata\.name: node node-a"):
        await agents.admin.create(await _generated(agents, "dog-"), token=agents.tokens["node-a"])


async def _generated(agents: Agents, prefix: str) -> Manifest:
    manifest = await agents.placed(created("x"))
    del manifest["metadata"]["name"]
    manifest["metadata"]["generateName"] = prefix
    return manifest


async def test_the_token_of_a_pod_names_its_node(agents: Agents) -> None:
    """As on a real node: the token that a pod gets is bound to the pod, and the pod's node is what counts."""
    name = f"agent-{secrets.token_hex(4)}"
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "akri"},
        "spec": {"serviceAccountName": "akri-agent", "nodeName": "node-c", "containers": [{"name": "agent", "image": "localhost/none:1"}]},
    }
    uid = (await agents.admin.create(pod))["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound}}
    path = "/api/v1/namespaces/akri/serviceaccounts/akri-agent/token"
    token = (await agents.admin.request("POST", path, request))["status"]["token"]
    stored = await agents.store(shared(new_name()))
    with pytest.raises(RequestError, match="node node-c must only add itself"):
        await agents.admin.patch(stored, {"spec": {"nodes": ["node-a", "node-b", "node-d"]}}, token=token)
    changed = await agents.admin.patch(stored, {"spec": {"nodes": ["node-a", "node-b", "node-c"]}}, token=token)
    assert changed["spec"]["nodes"][-1] == "node-c"
    await agents.admin.delete(pod, grace=0)


async def test_administrators_and_the_controller_are_not_hindered(agents: Agents) -> None:
    controller = await agents.admin.token_for("akri-controller", "akri", node="node-d")
    for token in (None, controller):
        stored = await agents.store(shared(new_name()))
        name = stored["metadata"]["name"]
        usage = {slot(name, 0): "", slot(name, 1): "", slot(name, 2): "node-b"}
        after = edited(stored, spec(nodes=["node-b"], capacity=3, deviceUsage=usage))
        changed = await agents.admin.replace(after, token=token)
        assert changed["spec"] == after["spec"]
        await agents.admin.delete(changed, token=token)
        assert await agents.admin.find(changed) is None


@pytest.mark.parametrize("node", ["n" * 63, ".".join(["n" * 60] * 3), ".".join(["n" * 60] * 4)])
async def test_reports_of_nodes_with_long_names(agents: Agents, node: str) -> None:
    """A name that would be too long is cut and ends in a digest; another node's name is refused all the same."""
    token = await agents.admin.token_for("akri-agent", "akri", node=node)
    configuration = f"cam-{secrets.token_hex(8)}".ljust(54, "m")
    name = report_name(ConfigurationName(configuration), NodeName(node))
    manifest = edited(report(configuration), together(spec(nodeName=node), rename(name)))
    made = await agents.admin.create(await agents.placed(manifest), token=token)
    assert made["metadata"]["name"] == name
    others = [report_name(ConfigurationName(configuration), NodeName(f"m{node[1:]}")), f"{name[:190]}-00000000"]
    if name == f"{configuration}.{node}":
        others.append(f"{name[:-9]}-00000000")
    for other in others:
        with pytest.raises(RequestError, match=r"metadata\.name: node"):
            await agents.admin.create(await agents.placed(edited(manifest, rename(other))), token=token)


async def test_agents_read_the_secrets_that_were_granted_and_no_others(agents: Agents) -> None:
    """The Role of docs/security.md, as an operator applies it."""
    (example,) = [each for each in examples(ROOT / "docs" / "security.md") if each.kind == "yaml"]
    for manifest in read_texts(example.body).documents:
        await agents.admin.apply(cast("Manifest", manifest.document))
    path = "/api/v1/namespaces/default/secrets"
    for name in ("camera-password", "other-password"):
        secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": "x"}}
        await agents.admin.apply(secret)
    await agents.admin.settled()
    token = agents.tokens["node-b"]
    assert (await agents.admin.get(f"{path}/camera-password", token=token))["data"] == {"password": "eA=="}
    for refused in (f"{path}/other-password", path, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"):
        with pytest.raises(RequestError) as error:
            await agents.admin.get(refused, token=token)
        assert error.value.status == 403
