"""A client of all rights for tests: objects are plain dictionaries, errors carry what the server said.

Not the client under test: this one retries nothing and hides nothing.
"""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import aiohttp
from ruamel.yaml import YAML

from tests.cluster.processes import eventually

__all__ = ["JSON_PATCH", "MERGE_PATCH", "Admin", "Manifest", "RequestError", "healthy", "read_manifests"]

# What a test reads and writes is JSON of any shape.
Manifest = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_RBAC = "rbac.authorization.k8s.io/v1"
_ADMISSION = "admissionregistration.k8s.io/v1"


class RequestError(Exception):
    """The server refused: `status` is the HTTP status, `body` the Status object, `message` its sentence."""

    def __init__(self, method: str, path: str, status: int, body: Manifest) -> None:
        super().__init__(f"{method} {path}: {status} {body.get('message', body)}")
        self.status = status
        self.body = body
        self.message = str(body.get("message", ""))


class Admin:
    """An async context manager; belongs to the event loop that entered it.

    A method that takes `where` accepts a path ("/api/v1/nodes/node-a") or a manifest, whose path is found by asking the
    server for the plural of its kind. Methods raise RequestError, and aiohttp's errors when there is no answer.
    """

    def __init__(self, url: str, ca_file: Path, token: str) -> None:
        self._url = url
        self._ca_file = ca_file
        self._token = token
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}
        self._open: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(self._ca_file)))
        headers = {"Authorization": f"Bearer {self._token}"}
        self._open = aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=60))
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._open is not None:
            await self._open.close()
        self._open = None

    # --- requests ------------------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        parameters: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Manifest:
        """One request; `token` is sent in the place of the admin's, to ask as somebody else."""
        if self._open is None:
            raise RuntimeError("an Admin is an async context manager: enter it first")
        headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body)
        async with self._open.request(method, self._url + path, data=data, headers=headers, params=dict(parameters or {})) as answer:
            text = await answer.text()
            content: Manifest = json.loads(text) if answer.content_type == "application/json" else {"message": text}
            if answer.status >= 400:
                raise RequestError(method, path, answer.status, content)
            return content

    async def get(self, where: str | Manifest, *, token: str | None = None) -> Manifest:
        """One object."""
        return await self.request("GET", await self.path(where), token=token)

    async def find(self, where: str | Manifest) -> Manifest | None:
        """One object, or None if there is none."""
        try:
            return await self.get(where)
        except RequestError as error:
            if error.status != 404:
                raise
            return None

    async def list(self, path: str, *, parameters: Mapping[str, str] | None = None, token: str | None = None) -> Sequence[Manifest]:
        """All objects of a collection, whose path is given."""
        items: Sequence[Manifest] = (await self.request("GET", path, parameters=parameters, token=token))["items"]
        return items

    async def create(self, manifest: Manifest, *, token: str | None = None, parameters: Mapping[str, str] | None = None) -> Manifest:
        """Make an object; the answer is what the server made of it."""
        path = await self.path(manifest, collection=True)
        return await self.request("POST", path, manifest, token=token, parameters=parameters)

    async def replace(self, manifest: Manifest, *, token: str | None = None, subresource: str = "") -> Manifest:
        """Write an object anew; with a resourceVersion inside only if nobody wrote since."""
        path = await self.path(manifest) + (f"/{subresource}" if subresource else "")
        return await self.request("PUT", path, manifest, token=token)

    async def patch(self, where: str | Manifest, body: object, *, content_type: str = MERGE_PATCH, token: str | None = None) -> Manifest:
        """A merge patch, or a list of operations with `content_type=JSON_PATCH`."""
        return await self.request("PATCH", await self.path(where), body, content_type=content_type, token=token)

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, taking over what others set."""
        parameters = {"fieldManager": "test-admin", "force": "true"}
        return await self.request("PATCH", await self.path(manifest), manifest, content_type=_APPLY_PATCH, parameters=parameters)

    async def delete(self, where: str | Manifest, *, grace: int | None = None, propagation: str = "", token: str | None = None) -> Manifest:
        """Delete an object; `grace` in seconds, `propagation` Foreground, Background or Orphan."""
        options = ({} if grace is None else {"gracePeriodSeconds": grace}) | ({"propagationPolicy": propagation} if propagation else {})
        return await self.request("DELETE", await self.path(where), options or None, token=token)

    async def path(self, where: str | Manifest, *, collection: bool = False) -> str:
        """The path of an object, or of the collection that it belongs to."""
        if isinstance(where, str):
            return where
        version, metadata = str(where["apiVersion"]), where["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural, namespaced = await self._plural(root, str(where["kind"]))
        folder = f"{root}/namespaces/{metadata.get('namespace', 'default')}/{plural}" if namespaced else f"{root}/{plural}"
        return folder if collection else f"{folder}/{metadata['name']}"

    async def _plural(self, root: str, kind: str) -> tuple[str, bool]:
        if kind not in self._plurals.get(root, {}):
            resources = (await self.request("GET", root))["resources"]
            self._plurals[root] = {each["kind"]: (each["name"], each["namespaced"]) for each in resources if "/" not in each["name"]}
        return self._plurals[root][kind]

    # --- what tests need often -----------------------------------------------------------------------------------------------

    async def ensure(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """A Namespace, Node or ServiceAccount of this name, made if there is none."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        manifest: Manifest = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
        return await self.find(manifest) or await self.create(manifest)

    async def token_for(self, service_account: str, namespace: str, *, node: str | None = None, seconds: int = 3600) -> str:
        """A token of a service account, as a pod on that node would have: with the node-name claim. Makes what is missing of the three.

        The server takes it: it knows nodes from a cache, and refuses tokens of one that it does not know yet, or by its former uid.
        """
        await self.ensure("Namespace", namespace)
        await self.ensure("ServiceAccount", service_account, namespace)
        specification: Manifest = {"expirationSeconds": seconds}
        if node is not None:
            uid = (await self.ensure("Node", node))["metadata"]["uid"]
            specification["boundObjectRef"] = {"kind": "Node", "apiVersion": "v1", "name": node, "uid": uid}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": specification}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        token = str((await self.request("POST", path, body))["status"]["token"])

        async def taken() -> bool:
            try:
                await self.request("GET", "/version", token=token)
            except RequestError as error:
                if error.status != 401:
                    raise
                return False
            return True

        await eventually(taken, seconds=30, what=f"the token of {service_account} on {node or 'no node'} to be taken")
        return token

    async def install(self, folder: Path) -> None:
        """Apply every manifest of a folder; returns when its custom resources are served and its rules and policies are in force."""
        manifests = sorted(read_manifests(folder), key=lambda each: _ORDER.get(str(each["kind"]), len(_ORDER)))
        definitions = [each for each in manifests if each["kind"] == "CustomResourceDefinition"]
        for manifest in manifests:
            if str(manifest["kind"]) not in _ORDER and definitions:
                await self._served(definitions)
                definitions = []
            await self.apply(manifest)
        await self._served(definitions)
        await self.settled()

    async def _served(self, definitions: Sequence[Manifest]) -> None:
        for definition in definitions:
            name = definition["metadata"]["name"]
            await eventually(partial(self._established, name), seconds=30, what=f"{name} to be established")
            for version in definition["spec"]["versions"]:
                root, names = f"/apis/{definition['spec']['group']}/{version['name']}", definition["spec"]["names"]
                await eventually(partial(self._listed, root, names), seconds=30, what=f"{name} {version['name']} to be served")

    async def _established(self, name: str) -> bool:
        conditions: list[Manifest] = (await self.get(f"{_DEFINITIONS}/{name}")).get("status", {}).get("conditions") or []  # null at first
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    async def _listed(self, root: str, names: Manifest) -> bool:
        """Whether a kind is both served and told of to those who ask which kinds there are."""
        resources = (await self.find(root) or {}).get("resources", [])
        return names["kind"] in [each["kind"] for each in resources] and await self.find(f"{root}/{names['plural']}") is not None

    async def settled(self) -> None:
        """Wait until every role and admission policy written before this call is in force.

        The API server learns of them through watches, in order: so one more of each is made, and what they change is waited for.
        """
        canaries = _canaries(f"canary-{secrets.token_hex(4)}")
        for manifest in canaries:
            await self.create(manifest)
        name = str(canaries[0]["metadata"]["name"])
        attributes = {"verb": "get", "resource": "configmaps", "namespace": "default"}
        review: Manifest = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        probe: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}

        async def authorized(kind: str) -> bool:
            body = {**review, "spec": {"user": f"{name}-{kind}", "resourceAttributes": attributes}}
            answer = await self.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
            return bool(answer["status"]["allowed"])

        async def in_force() -> bool:
            try:
                await self.create(probe, parameters={"dryRun": "All"})
            except RequestError as error:
                if error.status not in {403, 422}:
                    raise
                return await authorized("cluster") and await authorized("namespace")
            return False

        await eventually(in_force, seconds=60, what="roles and admission policies to be in force")
        for manifest in canaries:
            await self.delete(manifest)


# Kinds that others need come first; roles and policies last.
_ORDER = {"Namespace": 0, "CustomResourceDefinition": 1}


def _canaries(name: str) -> list[Manifest]:
    """A policy that refuses one ConfigMap, and roles that let two users read ConfigMaps in the namespace default."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    match = {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]}
    policy = {"matchConstraints": match, "validations": [{"expression": f"object.metadata.name != '{name}'"}]}

    def manifest(version: str, kind: str, **fields: object) -> Manifest:
        metadata = {"name": name} | ({"namespace": "default"} if kind in {"Role", "RoleBinding"} else {})
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}

    def binding(kind: str, role: str, user: str) -> Manifest:
        subject = {"kind": "User", "name": f"{name}-{user}", "apiGroup": "rbac.authorization.k8s.io"}
        return manifest(_RBAC, kind, roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name}, subjects=[subject])

    return [
        manifest(_RBAC, "ClusterRole", rules=rules),
        manifest(_RBAC, "Role", rules=rules),
        binding("ClusterRoleBinding", "ClusterRole", "cluster"),
        binding("RoleBinding", "Role", "namespace"),
        manifest(_ADMISSION, "ValidatingAdmissionPolicy", spec=policy),
        manifest(_ADMISSION, "ValidatingAdmissionPolicyBinding", spec={"policyName": name, "validationActions": ["Deny"]}),
    ]


def read_manifests(folder: Path) -> list[Manifest]:
    """Every document of every YAML file in a folder and below, in the order of the files' paths."""
    reader: Any = YAML(typ="safe", pure=True)  # without types of its own
    return [document for file in sorted(folder.rglob("*.yaml")) for document in reader.load_all(file) if document]


async def healthy(url: str, ca_file: Path, token: str | None = None) -> bool:
    """Whether the address answers 200."""
    context = ssl.create_default_context(cafile=str(ca_file)) if url.startswith("https:") else False
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url, ssl=context, headers=headers) as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
