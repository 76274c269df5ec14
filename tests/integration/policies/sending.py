"""Sends the requests of the table: as whose agent, by which of the API's ways to write, and what came of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from copy import deepcopy
from enum import Enum
from typing import Final, cast

from attrs import field, frozen

from tests.cluster.admin import JSON_PATCH, MERGE_PATCH, Admin, Manifest, RequestError
from tests.integration.policies.attempts import Attempt
from tests.integration.policies.objects import UID_TO_COME, edited

__all__ = ["NODES", "Agents", "Way", "content", "new_name"]

NODES: Final = ("node-a", "node-b", "node-c", "node-d")
_APPLY_PATCH: Final = "application/apply-patch+yaml"
_WRITABLE: Final = ("annotations", "labels", "finalizers", "ownerReferences")
_EMPTY: Final[Mapping[str, object]] = {"annotations": {}, "labels": {}, "finalizers": [], "ownerReferences": []}


class Way(Enum):
    """How a changed object is written."""

    PUT = "put"
    MERGE = "merge patch"
    JSON = "json patch"
    APPLY = "server-side apply"


def new_name() -> str:
    """A name that no Instance has, nor, with its dash, any Configuration."""
    return f"cam-{secrets.token_hex(5)}"


def content(manifest: Manifest) -> Manifest:
    """What of an object somebody can write."""
    metadata = {name: manifest["metadata"].get(name, _EMPTY[name]) for name in _WRITABLE}
    return {"metadata": metadata, "spec": manifest["spec"]}


@frozen
class Agents:
    """The agents of all nodes, on one API server and in one namespace. `tokens`: by node."""

    admin: Admin
    namespace: str
    tokens: Mapping[str, str]
    _uids: dict[str, str] = field(factory=dict[str, str])

    async def store(self, manifest: Manifest) -> Manifest:
        """Store an object as it stands, as somebody with all rights."""
        return await self.admin.create(await self.placed(manifest))

    async def placed(self, manifest: Manifest) -> Manifest:
        """The same object in this namespace, with the Configurations that own it."""
        copy = edited(manifest, lambda copy: copy["metadata"].update(namespace=self.namespace))
        for owner in copy["metadata"].get("ownerReferences", []):
            if owner["uid"] == UID_TO_COME and (owner["apiVersion"], owner["kind"]) == ("akri.sh/v0", "Configuration"):
                owner["uid"] = await self._uid_of(owner["name"])
        return copy

    async def _uid_of(self, configuration: str) -> str:
        if configuration not in self._uids:
            metadata = {"name": configuration, "namespace": self.namespace}
            manifest = {"apiVersion": "akri.sh/v0", "kind": "Configuration", "metadata": metadata, "spec": {}}
            self._uids[configuration] = (await self.admin.create(manifest))["metadata"]["uid"]
        return self._uids[configuration]

    async def create(self, attempt: Attempt, manifest: Manifest, *, apply: bool = False) -> Manifest:
        """Ask for an object to be made."""
        token, placed = self.tokens[attempt.by], await self.placed(manifest)
        if not apply:
            return await self.admin.create(placed, token=token)
        return await self._apply(await self.admin.path(placed), placed, token)

    async def write(self, attempt: Attempt, way: Way, before: Manifest, after: Manifest, *, dry: bool = False) -> Manifest:
        """Ask for an object to be changed. A dry one is asked with all rights."""
        path = await self.admin.path(before)
        token = None if dry else self.tokens[attempt.by]
        parameters = {"dryRun": "All"} if dry else {}
        match way:
            case Way.PUT:
                return await self.admin.request("PUT", path, after, token=token, parameters=parameters)
            case Way.MERGE:
                body: object = _merge(content(before), content(after))
                return await self.admin.request("PATCH", path, body, content_type=MERGE_PATCH, token=token, parameters=parameters)
            case Way.JSON:
                body = list(_operations(before, after))
                return await self.admin.request("PATCH", path, body, content_type=JSON_PATCH, token=token, parameters=parameters)
            case Way.APPLY:
                return await self._apply(path, after, token, **parameters)

    async def _apply(self, path: str, manifest: Manifest, token: str | None, **parameters: str) -> Manifest:
        metadata = {name: value for name, value in manifest["metadata"].items() if name in {"name", *_WRITABLE}}
        body = {name: manifest[name] for name in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
        parameters |= {"fieldManager": "akri", "force": "true"}
        return await self.admin.request("PATCH", path, body, content_type=_APPLY_PATCH, token=token, parameters=parameters)

    async def expresses(self, attempt: Attempt, way: Way, before: Manifest, after: Manifest) -> bool:
        """Whether a write of this kind can make this change at all: server-side apply removes nothing that others own."""
        try:
            return content(await self.write(attempt, way, before, after, dry=True)) == content(after)
        except RequestError as error:
            if error.status != 422:
                raise
            return False


def _merge(before: Manifest, after: Manifest) -> Manifest:
    """The merge patch that makes one object of the other."""
    patch: Manifest = {name: None for name in before if name not in after}
    for name, value in after.items():
        former = before.get(name)
        if isinstance(value, dict) and isinstance(former, dict):
            if inner := _merge(cast("Manifest", former), cast("Manifest", value)):
                patch[name] = inner
        elif value != former:
            patch[name] = value
    return patch


def _operations(before: Manifest, after: Manifest) -> Iterator[dict[str, object]]:
    """The JSON patch that makes one object of the other, map by map."""
    was, wanted = deepcopy(content(before)), content(after)
    for part in ("metadata", "spec"):
        for name, value in wanted[part].items():
            former = was[part].get(name)
            if not (isinstance(value, dict) and former):
                if value != former:
                    yield {"op": "add", "path": f"/{part}/{name}", "value": value}
                continue
            keys: set[str] = {*former, *value}
            for key in keys:
                path = f"/{part}/{name}/{key.replace('~', '~0').replace('/', '~1')}"
                if key not in value:
                    yield {"op": "remove", "path": path}
                elif former.get(key) != value[key]:
                    yield {"op": "add", "path": path, "value": value[key]}
