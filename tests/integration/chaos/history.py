"""What is written down of a run, and the judgement over it. Pure: a history may be a forged one, and then the judge must say so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

__all__ = ["Device", "History", "Life", "Turn", "Violation", "excused", "judge", "parse_lives", "parse_violations"]


@frozen
class Device:
    """A device of the run. node: the only one that reaches it, "" where all do. kept: it is never away for so long that it may go."""

    configuration: str
    id: str
    node: str = ""
    kept: bool = True


@frozen
class Turn:
    """An Instance that was there. at: when it was first seen; created: what it says of itself; seconds since the epoch, both."""

    device: Device
    digest: str
    uid: str
    created: float
    at: float


@frozen
class Life:
    """A start of a broker, as it wrote it down. slots: `<DIGEST>-<number of the lock>`."""

    at: float
    pid: int
    pod: str
    name: str
    node: str
    slots: tuple[str, ...] = ()

    @property
    def digests(self) -> frozenset[str]:
        """The devices that it has."""
        return frozenset(slot.partition("-")[0] for slot in self.slots)


@frozen
class Violation:
    """A broker that found a lock held. kind: `twice` for its own pod's, `slot` for a device's. holders: pods (or a process) that had it."""

    at: float
    kind: str
    pod: str
    name: str
    node: str
    digest: str = ""
    holders: tuple[str, ...] = ()


@frozen
class History:
    """A whole run.

    unfinished: what was not as it should be when the time to come to rest was over. ended: programs that ended though nobody had
    killed them. left: processes that were there after `akri down`. damage: what is wrong with the store's file.
    """

    devices: tuple[Device, ...] = ()
    turns: tuple[Turn, ...] = ()
    lives: tuple[Life, ...] = ()
    violations: tuple[Violation, ...] = ()
    kills: Mapping[str, int] = field(factory=dict[str, int], hash=False)
    unfinished: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()


def judge(history: History, *, kinds: Iterable[str] = ()) -> tuple[str, ...]:
    """Say what is wrong, in sentences; nothing if all is as it should be. kinds: what must have been killed at least once."""
    return (
        *_violations(history),
        *_instances(history),
        *(f"did not come to rest: {what}" for what in history.unfinished),
        *(f"ended by itself: {what}" for what in history.ended),
        *(f"left behind: {what}" for what in history.left),
        *(f"the store is damaged: {what}" for what in history.damage),
        *(f"nothing was tried: no {kind} was killed" for kind in kinds if not history.kills.get(kind)),
        *(() if history.lives else ("nothing was tried: no broker ever ran",)),
    )


def excused(history: History) -> tuple[Violation, ...]:
    """Give the violations that the sharing protocol allows.

    A slot can be lost with its Instance: when a shared device was away for longer than its grace and comes back, the Instance is a
    new one, and another node may be faster than the one whose broker still ends.
    """
    return tuple(one for one in history.violations if _is_excused(history, one))


def _is_excused(history: History, violation: Violation) -> bool:
    turns = [turn for turn in history.turns if turn.digest == violation.digest and not turn.device.node and not turn.device.kept]
    began = [life.at for life in history.lives if life.pod in violation.holders and violation.digest in life.digests]
    return violation.kind == "slot" and any(start < turn.created <= violation.at for start in began for turn in turns)


def _violations(history: History) -> Iterable[str]:
    pardoned = frozenset(map(id, excused(history)))
    for one in history.violations:
        if id(one) in pardoned:
            continue
        if one.kind == "twice":
            yield f"started twice: {one.name} ({one.pod}) on {one.node} at {one.at:.3f}, beside process {' '.join(one.holders)}"
        else:
            yield f"too many at device {one.digest}: {one.name} ({one.pod}) on {one.node} at {one.at:.3f}, beside {' '.join(one.holders)}"


def _instances(history: History) -> Iterable[str]:
    uids: dict[tuple[Device, str], list[str]] = defaultdict(list)
    for turn in sorted(history.turns, key=lambda turn: turn.at):
        if turn.uid not in uids[turn.device, turn.digest]:
            uids[turn.device, turn.digest].append(turn.uid)
    known = {device for device, _ in uids}
    for device in history.devices:
        if device not in known:
            yield f"never found: device {device.id} of {device.configuration} {device.node}".rstrip()
    for (device, digest), found in uids.items():
        if device.kept and len(found) > 1:
            yield f"deleted and made anew: the Instance {digest} of {device.id} ({device.configuration}), which was never away: {found}"
    yield from _doubles(uids)


def _doubles(uids: Mapping[tuple[Device, str], Sequence[str]]) -> Iterable[str]:
    digests: dict[Device, set[str]] = defaultdict(set)
    for device, digest in uids:
        digests[device].add(digest)
    for device, several in digests.items():
        if len(several) > 1:
            yield f"two Instances of one device: {device.id} of {device.configuration}: {sorted(several)}"


def parse_lives(text: str) -> tuple[Life, ...]:
    """Read what brokers wrote. Raises ValueError for a line that is not whole: lines are short, so each is one write."""
    return tuple(_life(line.split()) for line in text.splitlines())


def _life(words: Sequence[str]) -> Life:
    at, pid, pod, name, node, *slots = words
    return Life(float(at), int(pid), pod, name, node, tuple(slots))


def parse_violations(text: str) -> tuple[Violation, ...]:
    """Read what brokers reported. Raises ValueError as `parse_lives`."""
    return tuple(_violation(line.split()) for line in text.splitlines())


def _violation(words: Sequence[str]) -> Violation:
    at, kind, pod, name, node, *rest = words
    digest, holders = (rest[0], rest[1:]) if kind == "slot" else ("", rest)
    return Violation(float(at), kind, pod, name, node, digest, tuple(holders))
