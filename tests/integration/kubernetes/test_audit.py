"""The reader of the audit log sees what it is there to see: logs are forged, each with one thing that must not happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import SlotAudit, audit_slots, read_log

NAME = "cam-8120fe"
FREE = {f"{NAME}-0": "", f"{NAME}-1": ""}
Entry = dict[str, Any]


def entry(verb: str, code: int, node: str, request: object, revision: int = 0, usage: dict[str, str] | None = None) -> Entry:
    """One line of the log; without `usage` the answer has no Instance."""
    answer = {"kind": "Instance", "metadata": {"name": NAME, "resourceVersion": str(revision)}, "spec": {"deviceUsage": usage}}
    extra = {"authentication.kubernetes.io/node-name": [node]} if node else {}
    return {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": "system:serviceaccount:akri:akri-agent", "extra": extra},
        "objectRef": {"resource": "instances", "namespace": "default", "name": NAME},
        "responseStatus": {"code": code},
        "requestObject": request,
        "responseObject": answer if usage is not None else {"kind": "Status"},
    }


def created() -> Entry:
    return entry("create", 201, "a", {"spec": {}}, 10, FREE)


def patch(slot: int, old: str, new: str) -> object:
    path = f"/spec/deviceUsage/{NAME}-{slot}"
    return [{"op": "test", "path": path, "value": old}, {"op": "replace", "path": path, "value": new}]


def wrote(node: str, revision: int, slot: int, old: str, new: str, **others: str) -> Entry:
    """A patch of one slot that was stored. others: what else is held, `_1="b"`."""
    usage = FREE | {f"{NAME}-{slot}": new} | {f"{NAME}{index.replace('_', '-')}": text for index, text in others.items()}
    return entry("patch", 200, node, patch(slot, old, new), revision, usage)


def read(revision: int, **held: str) -> Entry:
    return entry("get", 200, "a", None, revision, FREE | {f"{NAME}{index.replace('_', '-')}": text for index, text in held.items()})


def lost(node: str, slot: int, old: str, new: str) -> Entry:
    return entry("patch", 504, node, patch(slot, old, new))


def audit(*entries: Entry) -> SlotAudit:
    return audit_slots(entries, "default", NAME)


def test_claims_and_releases_by_their_holders_are_fine() -> None:
    found = audit(
        created(),
        wrote("a", 11, 0, "", "a"),
        entry("patch", 422, "b", patch(0, "", "b")),
        read(11, _0="a"),
        wrote("b", 13, 1, "", "C:cam-0:b", _0="a"),
        entry("patch", 200, "b", {"metadata": {"annotations": {"akri.sh/fence": "x"}}}, 14, {f"{NAME}-0": "a", f"{NAME}-1": "C:cam-0:b"}),
        wrote("a", 15, 0, "a", "", _1="C:cam-0:b"),
        wrote("b", 17, 1, "C:cam-0:b", ""),
    )
    assert found.violations == []
    assert found.claims == found.releases == {"a": 1, "b": 1}
    assert (found.states, found.usage) == (6, FREE)
    assert found.requests["patch", "stored"] == 5
    assert found.requests["patch", "refused"] == found.requests["get", "unchanged"] == 1


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([wrote("a", 11, 0, "", "a"), wrote("b", 12, 0, "a", "b")], "go from 'a' to 'b'"),
        ([wrote("a", 11, 0, "", "a"), wrote("a", 12, 0, "a", "C:cam-0:a")], "go from 'a' to 'C:cam-0:a'"),
        ([wrote("a", 11, 0, "", "b")], "go from '' to 'b'"),
        ([wrote("a", 11, 0, "", "a"), wrote("b", 12, 0, "a", "")], "go from 'a' to ''"),
        ([wrote("a", 11, 0, "", "C:cam-0:b")], "go from '' to 'C:cam-0:b'"),
        ([wrote("", 11, 0, "", "a")], "go from '' to 'a'"),
        ([wrote("a", 11, 0, "", "a", _1="b")], "did not name cam-8120fe-1"),
        ([wrote("a", 11, 0, "", "a"), wrote("b", 13, 0, "", "b")], "go from 'a' to 'b'"),
        ([wrote("a", 11, 0, "", "a"), read(11, _0="b")], "was read as"),
        ([read(11)], "revision 11 by nobody in the log: the log has no write of it"),
        ([read(11, _0="a")], "did not name cam-8120fe-0"),
        ([wrote("a", 11, 0, "", "a"), lost("b", 0, "a", "b"), read(12, _0="b")], "did not name cam-8120fe-0"),
        ([lost("a", 0, "", "a"), read(11, _0="a"), wrote("a", 12, 0, "a", ""), read(14, _0="a")], "did not name cam-8120fe-0"),
    ],
)
def test_every_wrong_step_is_seen(entries: list[Entry], complaint: str) -> None:
    violations = audit(created(), *entries).violations
    assert len(violations) == 1
    assert complaint in violations[0]


def test_write_whose_answer_the_server_itself_does_not_know_explains_one_change() -> None:
    fence = entry("patch", 504, "a", {"metadata": {"annotations": {"akri.sh/fence": "x"}}})
    found = audit(created(), lost("b", 1, "", "b"), fence, read(11, _1="b"), read(12, _1="b"), wrote("b", 13, 1, "b", ""))
    assert found.violations == []
    assert found.unanswered == 2
    assert found.claims == found.releases == {"b": 1}


def test_created_with_a_holder_and_without_a_beginning() -> None:
    assert "held" in audit(entry("create", 201, "a", {"spec": {}}, 10, {f"{NAME}-0": "a"})).violations[0]
    assert "no state before it" in audit(wrote("a", 11, 0, "", "a")).violations[0]


def test_order_of_lines_does_not_matter_and_other_objects_do_not_either() -> None:
    other = {**created(), "objectRef": {"resource": "instances", "namespace": "other", "name": NAME}}
    started = {**wrote("b", 12, 0, "a", "b"), "stage": "ResponseStarted"}
    found = audit(wrote("a", 12, 0, "a", ""), other, wrote("a", 11, 0, "", "a"), started, created())
    assert (found.violations, found.states) == ([], 3)


def test_deleted_at_the_end() -> None:
    assert audit(created(), entry("delete", 200, "a", {}, 12, FREE)).usage is None
    assert audit(created(), entry("delete", 200, "a", {})).usage is None


def test_log_is_read_from_an_offset_and_without_its_unfinished_line(tmp_path: Path) -> None:
    lines = [json.dumps(each) + "\n" for each in (created(), wrote("a", 11, 0, "", "a"))]
    log = tmp_path / "audit.log"
    log.write_text("".join(lines) + '{"stage": "Resp', encoding="utf-8")
    assert len(list(read_log(log))) == 2
    assert [each["verb"] for each in read_log(log, offset=len(lines[0]))] == ["patch"]
