"""Reads the API server's audit log: every stored state of an Instance, who wrote it, and whether each slot changed hands as it may.

The log is the server's own account, so it shows what no client saw: a slot that went from one holder to another at any
resourceVersion, or a write that took effect after its sender gave up. Entries of akri.sh are there with request and response.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from attrs import define, evolve, field, frozen

__all__ = ["SlotAudit", "Write", "audit_slots", "read_log"]

Entry = Mapping[str, Any]

_NODE_CLAIM: Final = "authentication.kubernetes.io/node-name"
_SLOTS: Final = "/spec/deviceUsage/"
_WRITING: Final = frozenset({"create", "update", "patch"})
_READ: Final = "read"
_ALSO_DELETING: Final = _WRITING | {"delete"}
_UNCERTAIN: Final = 499
"""From this status on (the client went away; the server failed) a write may have been stored although its answer says otherwise."""


@frozen
class Write:
    """A write to an Instance. node: of the writer's token, "" for others. touched: the slots that it names, None: any of them.

    revision, usage: of the state that was stored; 0 and nothing where the server's answer does not say whether one was.
    """

    user: str
    node: str
    verb: str
    touched: frozenset[str] | None = frozenset()
    revision: int = 0
    usage: Mapping[str, str] = field(factory=dict[str, str], hash=False)


@define(eq=False)
class SlotAudit:
    """What the log says about one Instance.

    violations: sentences, empty if every slot changed hands as it may. claims, releases: how many slots were taken and freed, by node.
    states: how many there were. requests: by verb, and "stored", "unchanged", "refused" or "unanswered". usage: the last state, None
    if deleted. unanswered: how many of the writes of unknown outcome are seen to have been stored.
    """

    violations: list[str] = field(factory=list[str])
    claims: Counter[str] = field(factory=Counter[str])
    releases: Counter[str] = field(factory=Counter[str])
    states: int = 0
    requests: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])
    usage: Mapping[str, str] | None = None
    unanswered: int = 0


def read_log(path: Path, *, offset: int = 0) -> Iterator[Entry]:
    """Yield the entries of a log, from an offset in bytes on. A last line that is still being written is left out."""
    with path.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)


def audit_slots(entries: Iterable[Entry], namespace: str, name: str) -> SlotAudit:
    """Check one Instance. An Instance of the same name made later is another one, and begins anew."""
    reading = _Reading(namespace, name)
    for entry in entries:
        reading.take(entry)
    return reading.judge()


@define(eq=False)
class _Reading:
    """What was read so far, by revision: states as they were written, as they were read, and deletions."""

    namespace: str
    name: str
    audit: SlotAudit = field(factory=SlotAudit)
    writes: dict[int, Write] = field(factory=dict[int, Write])
    reads: dict[int, Mapping[str, str]] = field(factory=dict[int, Mapping[str, str]])
    deletions: list[int] = field(factory=list[int])
    lost: list[Write] = field(factory=list[Write])

    def take(self, entry: Entry) -> None:
        reference = entry.get("objectRef", {})
        if entry["stage"] != "ResponseComplete" or (reference.get("resource"), reference.get("namespace")) != ("instances", self.namespace):
            return
        stored = _stored(entry, self.name)
        if stored is not None:
            self._take_state(entry, stored)
        elif entry["verb"] == "delete" and reference.get("name") == self.name and entry["responseStatus"]["code"] < 400:
            self.audit.requests["delete", "stored"] += 1
            self.deletions.append(max(self.writes, default=0))  # the answer says no revision; the log is in the order of answers
        elif reference.get("name") == self.name:
            lost = entry["verb"] in _ALSO_DELETING and entry["responseStatus"]["code"] >= _UNCERTAIN
            self.audit.requests[entry["verb"], "unanswered" if lost else "refused"] += 1
            self.lost += [_write(entry)] if lost else []

    def _take_state(self, entry: Entry, stored: Entry) -> None:
        revision, verb = int(stored["metadata"]["resourceVersion"]), entry["verb"]
        known = revision in self.writes
        self.audit.requests[verb, "unchanged" if known else "stored"] += 1
        if verb == "delete":
            self.deletions.append(revision)
        elif verb in _WRITING and not known:
            self.writes[revision] = evolve(_write(entry), revision=revision, usage=_usage(stored))
        else:
            self.reads.setdefault(revision, _usage(stored))

    def judge(self) -> SlotAudit:
        for revision, usage in self.reads.items():
            if revision in self.writes and self.writes[revision].usage != usage:
                self.audit.violations.append(f"revision {revision} was read as {dict(usage)}, and not so written")
            if revision not in self.writes and revision not in self.deletions:
                self.writes[revision] = Write("", "", _READ, frozenset(), revision, usage)
        self._check_writes(sorted(self.writes.values(), key=lambda write: write.revision))
        return self.audit

    def _check_writes(self, writes: list[Write]) -> None:
        before: Write | None = None
        for write in writes:
            if write.verb == "create":
                self.audit.violations += [f"{_who(write)} made it with {slot} held" for slot, text in write.usage.items() if text]
            elif before is None:
                self.audit.violations.append(f"{_who(write)}: the log has no state before it")
            else:
                self._check_step(before.usage, write)
            before = write
        self.audit.states = len(writes)
        if before is not None and not any(revision >= before.revision for revision in self.deletions):
            self.audit.usage = before.usage

    def _check_step(self, before: Mapping[str, str], write: Write) -> None:
        changed = [slot for slot in sorted(before.keys() | write.usage.keys()) if before.get(slot, "") != write.usage.get(slot, "")]
        if write.verb == _READ and not changed:
            self._account_for_nothing(write)
        for slot in changed:
            old, new = before.get(slot, ""), write.usage.get(slot, "")
            writer = write if write.touched is None or slot in write.touched else self._lost_write(slot, old, new)
            if writer is None:
                self.audit.violations.append(
                    f"{_who(write)} did not name {slot}, yet it went from {old!r} to {new!r}: the log lacks a write"
                )
            elif _is_claim(old, new, writer.node):
                self.audit.claims[writer.node] += 1
            elif _is_release(old, new, writer.node):
                self.audit.releases[writer.node] += 1
            else:
                self.audit.violations.append(f"{_who(write)} made {slot} go from {old!r} to {new!r}")

    def _lost_write(self, slot: str, old: str, new: str) -> Write | None:
        """Find the write of unknown outcome that explains a change nobody was told of; each explains one."""
        for write in self.lost:
            named = write.touched is not None and slot in write.touched
            if named and (_is_claim(old, new, write.node) or _is_release(old, new, write.node)):
                self.lost.remove(write)
                self.audit.unanswered += 1
                return write
        return None

    def _account_for_nothing(self, write: Write) -> None:
        """A state that was read, that nobody was told to have written, and that changed no slot: a fence, or a node that joined."""
        for lost in self.lost:
            if not lost.touched:
                self.lost.remove(lost)
                self.audit.unanswered += 1
                return
        self.audit.violations.append(f"{_who(write)}: the log has no write of it")


def _is_claim(old: str, new: str, node: str) -> bool:
    return bool(node) and not old and _holder(new) == node


def _is_release(old: str, new: str, node: str) -> bool:
    return bool(node) and not new and _holder(old) == node


def _stored(entry: Entry, name: str) -> Entry | None:
    """The Instance in an answer, None if it has none."""
    answer = entry.get("responseObject")
    if entry["responseStatus"]["code"] >= 400 or not answer or answer.get("kind") != "Instance":
        return None
    return answer if answer["metadata"]["name"] == name else None


def _usage(stored: Entry) -> Mapping[str, str]:
    return dict(stored["spec"].get("deviceUsage") or {})


def _write(entry: Entry) -> Write:
    user: Mapping[str, Any] = entry["user"]
    request: Any = entry.get("requestObject")
    touched: frozenset[str] | None = None
    if isinstance(request, list):
        steps = cast("Sequence[Mapping[str, str]]", request)
        paths = [step["path"] for step in steps if step["op"] != "test"]
        touched = None if _SLOTS.rstrip("/") in paths else frozenset(path.removeprefix(_SLOTS) for path in paths if path.startswith(_SLOTS))
    elif isinstance(request, dict) and "spec" not in request:
        touched = frozenset()
    node = (user.get("extra", {}).get(_NODE_CLAIM) or [""])[0]
    return Write(user["username"], node, entry["verb"], touched)


def _holder(text: str) -> str:
    """The node in a usage text, read independently of the code under test: `<node>` or `C:<id>:<node>`."""
    return text.rpartition(":")[2]


def _who(write: Write) -> str:
    return f"revision {write.revision} by {write.node or write.user or 'nobody in the log'}"
