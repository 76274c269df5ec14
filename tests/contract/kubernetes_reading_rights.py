"""Which Secrets and ConfigMaps agents may read on the contract suite's API server: an operator grants them one by one."""

from __future__ import annotations

from akri.core.ids import ObjectKey
from tests.cluster.admin import Admin, Manifest
from tests.cluster.processes import eventually
from tests.contract.kubernetes_server import AGENT, NAMESPACE

__all__ = ["ReadingRights"]

_RBAC = "rbac.authorization.k8s.io"
_NAME = "contract-readable"


class ReadingRights:
    """Keeps one Role for each namespace, and waits until the server goes by it."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._granted: dict[str, set[str]] = {}

    async def permit(self, key: ObjectKey) -> None:
        """Let agents read the Secret and the ConfigMap of this key."""
        await self._write(key, self._names(key) | {key.name})

    async def forbid(self, key: ObjectKey) -> None:
        """Let them read neither."""
        await self._write(key, self._names(key) - {key.name})

    def _names(self, key: ObjectKey) -> set[str]:
        return self._granted.get(key.namespace, set())

    async def _write(self, key: ObjectKey, names: set[str]) -> None:
        self._granted[key.namespace] = names
        rule = {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get", "watch"], "resourceNames": sorted(names)}
        account = {"kind": "ServiceAccount", "name": AGENT, "namespace": NAMESPACE}
        role = {"apiGroup": _RBAC, "kind": "Role", "name": _NAME}
        # Without names a rule would be one for all of them.
        await self._admin.apply(_manifest("Role", key.namespace, rules=[rule] if names else []))
        await self._admin.apply(_manifest("RoleBinding", key.namespace, roleRef=role, subjects=[account]))

        async def in_force() -> bool:
            return await self._may_read(key) == (key.name in names)

        await eventually(in_force, seconds=30, what=f"the right to read {key}", every=0.01)

    async def _may_read(self, key: ObjectKey) -> bool:
        attributes = {"verb": "get", "resource": "secrets", "namespace": key.namespace, "name": key.name}
        user = f"system:serviceaccount:{NAMESPACE}:{AGENT}"
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        answer = await self._admin.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"]["allowed"])


def _manifest(kind: str, namespace: str, **fields: object) -> Manifest:
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": {"name": _NAME, "namespace": namespace}, **fields}
