"""The real udev as judge: generated rules, on this machine's devices, must select for us what they select for udev.

AKRI_UDEV_FILES says how many rule files are generated (200 if not set), AKRI_UDEV_SEED from which seed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import pytest

from akri.core.errors import InvalidValueError
from akri.discovery.udev.rules import Key, parse_rule
from tests.integration.udev.namespace import in_namespace, refused

REFUSED = refused()
pytestmark = [pytest.mark.skipif(bool(REFUSED), reason=REFUSED), pytest.mark.timeout(360)]
JUDGES: Final = "tests.integration.udev.judges"
FILES: Final = int(os.environ.get("AKRI_UDEV_FILES", "200"))
SEED: Final = int(os.environ.get("AKRI_UDEV_SEED", "1"))
TAGGED: Final = 'KERNEL=="null|0000:00:0[1-9].0", TAG+="akri_old"\n'


def judged(question: object) -> tuple[dict[str, object], list[dict[str, object]]]:
    answer = in_namespace(JUDGES, question, 300)
    return answer, cast("list[dict[str, object]]", answer["differences"])


def test_generated_rules_select_what_they_select_for_udev() -> None:
    answer, differences = judged({"count": FILES, "seed": SEED})
    assert differences == [], f"{len(differences)} disagreements"
    assert answer["files"] == FILES
    # Rules that match nothing prove little: many do match, and all keys are among them.
    assert cast("int", answer["matching"]) >= FILES // 2
    rules = cast("list[str]", answer["rules"])
    used = {condition.key for rule in rules for condition in parse_rule(rule).conditions}
    assert used == set(Key) or FILES < 100


CORNERS: Final = tuple(Path(__file__).with_name("corners.rules").read_text("utf-8").splitlines()[1:])


def test_corners_of_the_language_mean_what_they_mean_for_udev() -> None:
    answer, differences = judged({"rules": CORNERS})
    assert differences == []
    assert cast("int", answer["matching"]) >= len(CORNERS) // 2


def one_sided(rules: Sequence[str], setups: Sequence[str] = ("",)) -> dict[str, set[object]]:
    """Who alone says yes to each rule, on whichever device; rules on which both agree are left out."""
    _, differences = judged({"rules": list(rules), "setups": list(setups)})
    found: dict[str, set[object]] = {}
    for difference in differences:
        found.setdefault(str(difference["rule"]), set()).add("udev" if difference["udev"] else "akri")
    return found


def test_differences_are_those_that_the_page_lists() -> None:
    known = {
        'TAG=="?*"': {"udev"},
        'TAG!="?*"': {"akri"},
        'ENV{ACTION}=="add"': {"udev"},
        'TAGS=="akri_old"': {"akri"},
    }
    # The second arrival takes the tag away again; udev keeps it in mind for the device, not for those below it.
    assert one_sided(list(known), [TAGGED, 'KERNEL=="null", TAG+="akri_new"\n']) == known


@pytest.mark.parametrize(
    "rule",
    [
        'KERNEL=="null"SUBSYSTEM=="mem"',
        'KERNEL=="nul["',
        'KERNEL=="nul[[.l.]]"',
        'ATTR{[net/lo]ifindex}=="1"',
        'KERNEL=="null", ATTR{$kernel}=="x"',
        'ATTR{/sys/class/mem/null/dev}=="1:3"',
        'ACTION=="add"',
        'TEST=="dev"',
        'KERNEL=="null", MODE="0666"',
    ],
)
def test_what_udev_takes_and_we_do_not_is_refused_by_name(rule: str) -> None:
    with pytest.raises(InvalidValueError, match="character"):
        parse_rule(rule)


def test_the_judges_can_disagree() -> None:
    # A rule that udev would need to read otherwise than we do: without this, a judge that always agrees would pass.
    assert one_sided(['TAG=="?*"', 'KERNEL=="null"', 'KERNEL=="no such device"']) == {'TAG=="?*"': {"udev"}}
