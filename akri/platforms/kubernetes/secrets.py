"""Secrets and ConfigMaps as data. An agent may read only what the operator granted it (sharing.md); nothing of them is kept or logged."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from akri.core.errors import NotPermittedError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.reading import members
from akri.platforms.kubernetes.resources import CONFIG_MAPS, SECRETS, Resource

__all__ = ["config_map_data", "fetch_config_map", "fetch_secret", "secret_data"]

_NOT_FOUND: Final = 404
_FORBIDDEN: Final = 403


async def fetch_secret(client: ApiClient, key: ObjectKey) -> Mapping[str, bytes] | None:
    """Read a Secret's data; None if there is none. Raises NotPermittedError, OutcomeUnknownError."""
    document = await _fetch(client, SECRETS, "Secret", key)
    return None if document is None else secret_data(document)


async def fetch_config_map(client: ApiClient, key: ObjectKey) -> Mapping[str, bytes] | None:
    """Read a ConfigMap's data, texts as UTF-8; None if there is none. Raises NotPermittedError, OutcomeUnknownError."""
    document = await _fetch(client, CONFIG_MAPS, "ConfigMap", key)
    return None if document is None else config_map_data(document)


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
