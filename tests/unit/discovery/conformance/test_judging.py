"""Answers are judged by what they hold, whatever their order, and the words name what is wrong."""

from __future__ import annotations

import pytest

from akri.core.device import Device, DeviceNode, Mount
from akri.core.errors import InvalidValueError, Problem
from akri.core.ids import DeviceId
from akri.discovery.conformance.judging import changed_devices, different_ids, duplicates, faulty_devices, news_without_change
from akri.discovery.conformance.rules import RULES, Outcome, Verdict, chosen
from akri.discovery.snapshot import Snapshot, SourceReport

A, B, C = (Device(DeviceId(name)) for name in "abc")


def test_duplicates() -> None:
    assert duplicates([Snapshot((A, B)), Snapshot((A,))]) == ""
    assert duplicates([Snapshot((A, B)), Snapshot((A, B, A, A))]) == "in one answer 'a' 3 times"


def test_faulty_devices_are_told_apart_by_what_is_faulty() -> None:
    device = Device(DeviceId("x"), {"A=B": "", "C": "\0"}, (Mount("in", "/out"),), (DeviceNode("/dev/a", "/dev/../b"),))
    unreadable = Problem("device 'y'.permissions", "'all' is not valid")
    answers = [Snapshot((A,)), Snapshot((device, Device(DeviceId("")))), Snapshot(problems=(unreadable,))]

    assert faulty_devices(answers, "id").startswith("device '': id: '' is not valid")
    assert faulty_devices(answers, "properties").count("device 'x'") == 2
    assert faulty_devices(answers, "mounts", "deviceSpecs").count("device 'x'") == 2
    assert faulty_devices(answers, "permissions") == str(unreadable)
    assert faulty_devices([Snapshot((A, B))], "id", "properties", "mounts", "deviceSpecs", "permissions") == ""


def test_many_faults_are_counted() -> None:
    faulty = Snapshot(tuple(Device(DeviceId(f"a\n{number}")) for number in range(9)))

    assert faulty_devices([faulty], "id").endswith("; and 6 more") or faulty_devices([faulty], "id").endswith(" and 6 more")


def test_news_without_change() -> None:
    assert news_without_change([Snapshot((A,))]) == ""
    assert news_without_change([Snapshot((A,)), Snapshot((A, B)), Snapshot((A,))]) == ""
    assert news_without_change([Snapshot((A,)), Snapshot((A,))]) == "answer 2 says what answer 1 said"
    assert (
        news_without_change([Snapshot(), Snapshot((A, B)), Snapshot((B, A))]) == "answer 3 holds the devices of answer 2 in another order"
    )
    assert news_without_change([Snapshot((A,), SourceReport(1)), Snapshot((A,), SourceReport(2))]) == "", "a report is news"
    assert news_without_change([Snapshot((A,)), Snapshot((A,), gone_ids=(DeviceId("b"),))]) == "", "a certain absence is news"


def test_different_ids() -> None:
    assert different_ids(Snapshot((A, B)), Snapshot((B, A))) == ""
    assert different_ids(Snapshot((A, B)), Snapshot((B, C))) == "of 2 and 2 ids only in the one: 'a', only in the other: 'c'"
    assert different_ids(Snapshot(), Snapshot((C,))) == "of 0 and 1 ids only in the other: 'c'"


def test_changed_devices() -> None:
    changed = Device(A.id, {"TIME": "2"}, (Mount("/a", "/b"),), (DeviceNode("/dev/a", "/dev/b"),))

    assert changed_devices(Snapshot((A, B)), Snapshot((B, A, C))) == ""
    found = changed_devices(Snapshot((A,)), Snapshot((changed,)))
    assert found == "device 'a': 'TIME' was None and then '2', its mounts differ, its device nodes differ"


def test_outcomes_print_what_was_expected_and_what_came() -> None:
    rule = RULES["ends"]

    assert str(Outcome(rule, Verdict.PASSED)) == "passed     ends"
    assert str(Outcome(rule, Verdict.NOT_TRIED, "no process")) == "not tried  ends: no process"
    assert str(Outcome(rule, Verdict.FAILED, "nothing")) == "failed     ends: expected: it ends soon after SIGTERM; came: nothing"


def test_rules_are_tried_in_their_order() -> None:
    assert chosen([]) == tuple(RULES)
    assert chosen(["ends", "registers"]) == ("registers", "ends")
    with pytest.raises(InvalidValueError, match="'x' is not valid: expected one of "):
        chosen(["x"])
