"""The page on pods lists every field that the code knows, and says of each what the code does."""

from __future__ import annotations

import re

import pytest

from akri.platforms.local.pod_fields import CONTAINER_FIELDS, JOB_FIELDS, POD_FIELDS
from tests.docs.examples import ROOT

TABLES = {"PodSpec": POD_FIELDS, "container": CONTAINER_FIELDS, "JobSpec": JOB_FIELDS}


@pytest.mark.parametrize("kind", TABLES)
def test_every_field_is_listed_with_what_is_done_about_it(kind: str) -> None:
    page = (ROOT / "docs" / "pod-spec.md").read_text(encoding="utf-8")
    section = re.split(r"^## Fields of an? ", page, flags=re.MULTILINE)
    [own] = [part for part in section if part.startswith(f"{kind}\n")]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", own, re.MULTILINE)
    assert rows == [(name, rule.treatment.value, rule.note) for name, rule in TABLES[kind].items()]
