"""Upstream's own files, as documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from akri.core.metadata import Json, JsonObject
from akri.manifests import read_manifests

__all__ = ["UPSTREAM", "samples", "upstream_crd"]

UPSTREAM = Path(__file__).parents[2] / "data" / "upstream"


def _documents() -> Iterator[JsonObject]:
    for path in sorted(UPSTREAM.glob("configurations/*.yaml")):
        yield from (cast("JsonObject", manifest.document) for manifest in read_manifests(path.read_text()).documents)
    for path in sorted(UPSTREAM.glob("json/*.json")):
        document = cast("JsonObject", json.loads(path.read_text()))
        yield from cast("list[JsonObject]", document["items"]) if "items" in document else [document]


def samples(kind: str) -> list[JsonObject]:
    """All sample objects of one kind, those in lists included."""
    return [document for document in _documents() if document["kind"] == kind]


def upstream_crd(name: str) -> Json:
    """The schema of `configuration` or `instance` as upstream has it."""
    (manifest,) = read_manifests((UPSTREAM / "crds" / f"akri-{name}-crd.yaml").read_text()).documents
    return manifest.document
