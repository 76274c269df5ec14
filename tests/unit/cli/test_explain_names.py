"""Which object a name stands for, and what is told of names that nobody has."""

from __future__ import annotations

import math

import pytest
from attrs import evolve

from akri.cli.diagnosis.finding import Fault, Finding, Severity, ordered
from akri.cli.diagnosis.names import Ambiguous, Missing, find
from akri.cli.diagnosis.sight import Scope, Where
from akri.cli.diagnosis.words import ago, clean, denied, left, listed, span, when
from akri.core.metadata import ObjectMeta
from akri.core.reports import Reason
from tests.unit.cli.explain_samples import BROKER, CAM, DEVICE, NOW, SIGHT, Sample, event, explained, key


def found(text: str, namespace: str = "") -> tuple[str, str]:
    """Find in the sample; give kind and key."""
    scope = find(SIGHT.overview, text, namespace)
    assert isinstance(scope, Scope), scope
    return scope.kind, str(scope.key)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("cam", "Configuration", "cam"),
        ("configuration/cam", "Configuration", "cam"),
        ("akric/cam", "Configuration", "cam"),
        ("default/cam", "Configuration", "cam"),
        ("cam-8120fe", "Instance", "cam-8120fe"),
        ("Instances/cam-8120fe", "Instance", "cam-8120fe"),
        ("cam-8120fe-pod", "Pod", "cam-8120fe-pod"),
        ("broker/cam-8120fe-pod", "Pod", "cam-8120fe-pod"),
    ],
)
def test_names_kinds_and_namespaces(text: str, kind: str, name: str) -> None:
    assert found(text) == (kind, f"default/{name}")


def test_a_name_that_nobody_has_brings_those_that_are_near() -> None:
    overview = SIGHT.overview
    assert find(overview, "camm") == Missing("camm", ("cam",))
    assert find(overview, "cam-8120ff") == Missing("cam-8120ff", ("cam-8120fe", "cam-8120fe-pod"))
    assert find(overview, "instance/cam") == Missing("instance/cam", ())
    assert find(overview, "cam", "other") == Missing("cam", ())
    assert find(overview, "") == Missing("")
    assert find(overview, "configuration/") == Missing("configuration/")


def test_of_several_namespaces_default_comes_first_and_others_have_to_be_named() -> None:
    others = tuple(evolve(CAM, metadata=evolve(CAM.metadata, key=key("cam", name))) for name in ("b", "a"))
    overview = evolve(SIGHT.overview, configurations=others)
    assert find(overview, "cam") == Ambiguous("cam", ("a", "b"))
    assert find(evolve(overview, configurations=(*others, CAM)), "cam") == find(SIGHT.overview, "cam")
    chosen = find(overview, "cam", "b")
    assert isinstance(chosen, Scope)
    assert chosen.key == key("cam", "b")
    assert chosen.instances == ()


def test_commands_carry_namespace_and_state_where_they_are_needed() -> None:
    assert Where().command("edit", "cam", key("cam")) == "akri edit cam"
    assert Where("/s", " --state /s").command("edit", "cam", key("cam", "b")) == "akri edit cam -n b --state /s"


def test_what_is_gone_is_explained_by_its_events() -> None:
    lost = event("Instance", "cam-a19705", Reason.DEVICE_LOST, "node node-a gave the device up: its handler says that it is gone")
    sight = Sample.overview(events=(lost,))
    (gone,) = explained(sight, "cam-a19705")
    assert gone.fault is Fault.DEVICE_GONE
    assert gone.title == (
        "Instance default/cam-a19705 is gone: node node-a gave the device up: its handler says that it is gone, 01:46:30 UTC (10 s ago)"
    )
    assert gone.advice == "If its device should be there, connect it and look at what finds it: akri explain cam"
    pod = event("Pod", "cam-a19705-pod", Reason.BROKER_REMOVED, "removed")
    (gone,) = explained(Sample.overview(events=(pod,)), "broker/cam-a19705-pod")
    assert gone.title.startswith("Broker default/cam-a19705-pod is gone: removed")
    alone = explained(Sample.overview(events=(lost,), configurations=()), "cam-a19705")
    assert alone[0].advice.endswith("akri explain CONFIGURATION")


def test_a_broker_is_about_its_own_device_and_node_alone() -> None:
    other = evolve(DEVICE, metadata=ObjectMeta(key("cam-a19705"), "o"), nodes=())
    second = evolve(BROKER, key=key("cam-a19705-pod"), instance=other.key)
    scope = find(evolve(SIGHT.overview, instances=(DEVICE, other), broker_pods=(BROKER, second)), "cam-8120fe-pod")
    assert isinstance(scope, Scope)
    assert (scope.instances, scope.pods, scope.reports) == ((DEVICE,), (BROKER,), SIGHT.overview.reports)


def test_times_in_words() -> None:
    assert [span(seconds) for seconds in (-5, 0.4, 89, 100, 5000, 7200, 200_000, math.nan, math.inf)] == [
        "0 s",
        "0 s",
        "89 s",
        "2 min",
        "83 min",
        "2 h",
        "2 days",
        "an unknown time",
        "an unknown time",
    ]
    assert [left(seconds) for seconds in (-1, 0.1, 60, 61.2, 3700, math.inf)] == [
        "0 s",
        "1 s",
        "1 min 0 s",
        "1 min 2 s",
        "62 min",
        "an unknown time",
    ]
    assert ago(0.0, NOW) == when(0.0, NOW) == when(1e300, NOW) == "at a time that nobody kept"
    assert when(NOW - 3, NOW) == "01:46:37 UTC (3 s ago)"
    assert when(NOW - 300_000, NOW) == "2001-09-05 14:26:40 UTC (3 days ago)"


def test_lists_and_foreign_text() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], "abcd", "abcdef")] == [
        "",
        "a",
        "a and b",
        "a, b, c and d",
        "a, b, c, d and 2 more",
    ]
    assert clean("a\nb\x1b[2J\u202e") == "a b\\x1b[2J\\u202e"
    assert len(clean("x" * 9999)) == 400
    assert denied("Permission denied")
    assert denied("EPERM")
    assert not denied("it was permitted")


def test_of_many_findings_that_are_alike_the_first_are_told() -> None:
    many = [Finding(Fault.SLOTS_HELD, Severity.PROBLEM, f"{number:03}", "b", ["c"]) for number in range(500)]
    other = Finding(Fault.NODE_LOST, Severity.PROBLEM, "n", "b")
    note = Finding(Fault.INVALID, Severity.NOTE, "x", "b")
    assert ordered((note, many[0], other)) == (other, many[0], note), "a problem before a note, whatever it is about"
    told = ordered((*many, other, *many))
    assert [one.title for one in told] == ["n", *(f"{number:03}" for number in range(10))]
    assert told[-1].evidence == ("c", "and 490 more like this")


def test_a_finding_holds_few_lines() -> None:
    one = Finding(Fault.NOTHING, Severity.NOTE, "a\n", "b", [str(number) for number in range(50)])
    assert (one.title, len(one.evidence), one.evidence[-1]) == ("a ", 13, "and 38 more")
