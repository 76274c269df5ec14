"""The manifests in deploy/ say what the library says."""

from __future__ import annotations

import json
import runpy

from akri.core.crd import custom_resource_definitions
from akri.manifests import read_manifests
from tests.guards.tree import ROOT

GENERATOR = runpy.run_path(str(ROOT / "deploy" / "generate.py"))
STORED = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "deploy" / "crds").iterdir())}


def test_the_definitions_are_those_of_the_library() -> None:
    assert GENERATOR["files"]() == STORED, "run: python deploy/generate.py"


def test_the_files_say_what_the_library_means() -> None:
    stored = [manifest.document for text in STORED.values() for manifest in read_manifests(text).documents]
    meant = json.loads(json.dumps(custom_resource_definitions()))
    assert sorted(stored, key=str) == sorted(meant, key=str)
