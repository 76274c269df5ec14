"""Installing manifests, and pointing the tests at a cluster that somebody else runs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.cluster.admin import Admin, RequestError
from tests.cluster.api_server import ApiServer
from tests.guards.tree import ROOT

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {plural}}}
spec: {{policyName: {plural}, validationActions: [Deny]}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {plural}}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [test.akri.sh], apiVersions: [v1], operations: [CREATE], resources: [{plural}]}}]
  validations: [{{expression: "object.spec.size < {most}", message: "size must be less than {most}"}}]
---
apiVersion: test.akri.sh/v1
kind: {kind}
metadata: {{name: first, namespace: {namespace}}}
spec: {{size: 1}}
"""
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.test.akri.sh}}
spec:
  group: test.akri.sh
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}, singular: {singular}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}}}}}
"""


def write_manifests(folder: Path, namespace: str, letter: str, most: int) -> str:
    """A kind of the test's own, an object of it, and a policy about it, in files of the wrong order; returns the kind."""
    kind = f"Box{letter}"
    names = {"kind": kind, "plural": f"box{letter}s", "singular": f"box{letter}", "namespace": namespace, "most": most}
    (folder / "a.yaml").write_text(POLICY.format(**names), encoding="utf-8")
    (folder / "below").mkdir(exist_ok=True)
    (folder / "below" / "b.yaml").write_text(DEFINITION.format(**names), encoding="utf-8")
    return kind


async def test_installed_kinds_are_served_and_policies_are_in_force_at_once(admin: Admin, namespace: str, tmp_path: Path) -> None:
    for letter in "abc":
        kind = write_manifests(tmp_path, namespace, letter, 10)
        await admin.install(tmp_path)
        box = {"apiVersion": "test.akri.sh/v1", "kind": kind, "metadata": {"name": "second", "namespace": namespace}, "spec": {"size": 12}}
        with pytest.raises(RequestError, match="size must be less than 10"):
            await admin.create(box)
        write_manifests(tmp_path, namespace, letter, 20)
        await admin.install(tmp_path)
        assert (await admin.create(box))["spec"] == {"size": 12}


async def test_installing_leaves_no_trace_of_how_it_waits(admin: Admin) -> None:
    await admin.settled()
    for path in ("rbac.authorization.k8s.io/v1/clusterroles", "admissionregistration.k8s.io/v1/validatingadmissionpolicies"):
        assert [item for item in await admin.list(f"/apis/{path}") if "canary" in item["metadata"]["name"]] == []


@pytest.mark.timeout(120)
async def test_same_tests_run_on_a_cluster_of_somebody_else(api_server: ApiServer) -> None:
    await api_server.start_controller_manager()
    file = "tests/integration/cluster/test_api_server.py"
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "--kubeconfig", str(api_server.kubeconfig), file]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE)
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    last = "\n".join(output.splitlines()[-6:])
    assert "its audit log cannot be read" in last
    assert "the cluster of --kubeconfig is not there to be broken" in last
    assert "4 passed, 3 skipped" in last
