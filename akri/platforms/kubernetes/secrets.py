"""Secrets and ConfigMaps as data. An agent may read only what the operator granted it (sharing.md); nothing of them is kept or logged.

A watch of one object, by `fieldSelector=metadata.name=NAME`, is covered by a Role whose rule names the object in resourceNames.
What such a watch sends is not looked at: it only says when to read again, so that no part of it can end up in an error's sentence.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Mapping
from typing import Final

from akri.core.errors import NotPermittedError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.reading import members
from akri.platforms.kubernetes.resources import CONFIG_MAPS, SECRETS, Resource
from akri.ports import Clock

__all__ = ["config_map_data", "fetch_config_map", "fetch_secret", "secret_data", "watch_config_map", "watch_secret"]

_NOT_FOUND: Final = 404
_FORBIDDEN: Final = 403
_WATCH: Final = 20
"""Seconds after which the server ends a watch and the object is read again: no dead connection hides a change for longer."""
_SILENCE: Final = 25.0
_UNWATCHED: Final = 10.0
"""Seconds between two reads where the operator granted `get` without `watch`."""
_PAUSE: Final = 0.2
"""Seconds between the news of a change and the next watch: an object that changes all the time is read five times a second."""


async def fetch_secret(client: ApiClient, key: ObjectKey) -> Mapping[str, bytes] | None:
    """Read a Secret's data; None if there is none. Raises NotPermittedError, OutcomeUnknownError."""
    document = await _fetch(client, SECRETS, "Secret", key)
    return None if document is None else secret_data(document)


async def fetch_config_map(client: ApiClient, key: ObjectKey) -> Mapping[str, bytes] | None:
    """Read a ConfigMap's data, texts as UTF-8; None if there is none. Raises NotPermittedError, OutcomeUnknownError."""
    document = await _fetch(client, CONFIG_MAPS, "ConfigMap", key)
    return None if document is None else config_map_data(document)


async def watch_secret(client: ApiClient, key: ObjectKey, clock: Clock) -> AsyncGenerator[Mapping[str, bytes] | None]:
    """Follow a Secret's data; None while there is none. Raises NotPermittedError, OutcomeUnknownError."""
    async for document in _followed(client, SECRETS, "Secret", key, clock):
        yield None if document is None else secret_data(document)


async def watch_config_map(client: ApiClient, key: ObjectKey, clock: Clock) -> AsyncGenerator[Mapping[str, bytes] | None]:
    """Follow a ConfigMap's data; None while there is none. Raises NotPermittedError, OutcomeUnknownError."""
    async for document in _followed(client, CONFIG_MAPS, "ConfigMap", key, clock):
        yield None if document is None else config_map_data(document)


def secret_data(document: JsonObject) -> dict[str, bytes]:
    """Decode the data of a Secret. What the server would not have taken is left out."""
    return _decoded(document.get("data"))


def config_map_data(document: JsonObject) -> dict[str, bytes]:
    """Decode the data of a ConfigMap, of both kinds."""
    texts = {name: value.encode() for name, value in members(document.get("data")).items() if isinstance(value, str)}
    return {**texts, **_decoded(document.get("binaryData"))}


def _decoded(data: Json) -> dict[str, bytes]:
    decoded: dict[str, bytes] = {}
    for name, value in members(data).items():
        try:
            decoded[name] = base64.b64decode(value if isinstance(value, str) else "", validate=True)
        except binascii.Error:
            continue
    return decoded


async def _fetch(client: ApiClient, resource: Resource, kind: str, key: ObjectKey) -> JsonObject | None:
    try:
        return await client.request("GET", resource.object(key))
    except ApiStatusError as error:
        if error.status == _NOT_FOUND:
            return None
        if error.status == _FORBIDDEN:
            message = f"{kind} {key} must not be read: the operator did not grant it"
            raise NotPermittedError(message) from error
        message = f"{kind} {key} could not be read: {error}"
        raise OutcomeUnknownError(message) from error


async def _followed(client: ApiClient, resource: Resource, kind: str, key: ObjectKey, clock: Clock) -> AsyncGenerator[JsonObject | None]:
    """Give each state of an object that differs from the one before."""
    known: JsonObject | None = None
    first = True
    while True:
        document = await _fetch(client, resource, kind, key)
        if first or _content(document) != _content(known):
            yield document
        first, known = False, document
        await clock.sleep(await _changed(client, resource, kind, key, document))


def _content(document: JsonObject | None) -> tuple[Json, Json] | None:
    return None if document is None else (document.get("data"), document.get("binaryData"))


async def _changed(client: ApiClient, resource: Resource, kind: str, key: ObjectKey, document: JsonObject | None) -> float:
    """Wait until an object may have changed since it was read; return how many seconds to wait before it is read again."""
    revision = "" if document is None else members(document.get("metadata")).get("resourceVersion")
    parameters = {"watch": "1", "fieldSelector": f"metadata.name={key.name}", "timeoutSeconds": str(_WATCH)}
    if isinstance(revision, str) and revision:
        parameters["resourceVersion"] = revision
    try:
        async with client.link() as link, link.stream(resource.collection(key.namespace), parameters, silence=_SILENCE) as stream:
            return _PAUSE if await stream.piece() else 0.0
    except ApiStatusError as error:
        if error.status == _FORBIDDEN:
            return _UNWATCHED
        if error.expired:
            return _PAUSE
        message = f"{kind} {key} could not be watched: {error}"
        raise OutcomeUnknownError(message) from error
