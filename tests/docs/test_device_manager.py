"""The page on the device manager lists every habit in which a kubelet and ours differ, and no other."""

from __future__ import annotations

import re

from attrs import fields

from tests.docs.examples import ROOT
from tests.integration.deviceplugin.driver import Habits


def test_every_habit_is_listed() -> None:
    page = (ROOT / "docs" / "device-manager.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == [field.name for field in fields(Habits)]
