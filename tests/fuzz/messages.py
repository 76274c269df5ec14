"""Feed the readers of all discovery messages with rubbish: bytes of any kind, and messages that are nearly right.

No input may end in an error other than InvalidValueError, take longer than a second of processor time, or make the process grow.
What a reader takes must be a value that the rest of the agent can use: it goes through the allow-list and into a Presence.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from akri.core.errors import InvalidValueError
from akri.core.presence import Presence
from akri.discovery._proto import messages_pb2 as pb
from akri.discovery.allowed import USUAL, restricted
from akri.discovery.remote import address_of
from akri.discovery.wire import (
    KnownDevices,
    read_answer,
    read_question,
    read_registration,
    write_answer,
    write_question,
    write_registration,
)

__all__ = ["LONGEST", "MOST_MEMORY", "main"]

LONGEST: Final = 1.0
"""Seconds of processor time that one input may take."""
MOST_MEMORY: Final = 64 * 1024
"""KiB by which the process may grow."""
_WARM: Final = 2000
_TEXTS: Final = (
    "", "a", "udev", "/run/udev.sock", "http://10.1.2.3:10000", "https://[::1]:1", "http://[", "http://a:99999", "http://:1", "\x00", "\n",
    "\u2028", "\U0001f600", "x" * 300, "x" * 5000, "/dev/x", "/dev/../etc", "dev", "/", "=", "KEY", "rwm", "rwx", "http://a:b@c:1/d?e#f",
)  # fmt: skip


def _text(chance: random.Random) -> str:
    return chance.choice(_TEXTS)


def _registration(chance: random.Random) -> bytes:
    message = pb.RegisterDiscoveryHandlerRequest(name=_text(chance), endpoint=_text(chance), shared=chance.random() < 0.5)
    return message.SerializeToString() + bytes([0x18, chance.randrange(4)])


def _question(chance: random.Random) -> bytes:
    properties = {_text(chance): pb.ByteData(vec=chance.randbytes(chance.randrange(9))) for _ in range(chance.randrange(4))}
    return pb.DiscoverRequest(discovery_details=_text(chance), discovery_properties=properties).SerializeToString()


def _device(chance: random.Random) -> bytes:
    message = pb.Device(id=_text(chance), properties={_text(chance): _text(chance) for _ in range(chance.randrange(4))})
    for _ in range(chance.randrange(3)):
        message.mounts.add(container_path=_text(chance), host_path=_text(chance), read_only=True)
        message.device_specs.add(container_path=_text(chance), host_path=_text(chance), permissions=_text(chance))
    return message.SerializeToString()


def _answer(chance: random.Random) -> bytes:
    devices = [_device(chance) if chance.random() < 0.9 else chance.randbytes(5) for _ in range(chance.randrange(4))]
    report = pb.Report(candidates=chance.randrange(2**32), dropped={_text(chance): 1}, message=_text(chance))
    return pb.DiscoverResponse(devices=devices, report=report, gone_ids=[_text(chance)]).SerializeToString()


def _spoiled(chance: random.Random, data: bytes) -> bytes:
    """Change, cut, repeat or insert a few bytes."""
    spoiled = bytearray(data)
    for _ in range(chance.choice((0, 0, 1, 2, 8))):
        where = chance.randrange(len(spoiled) + 1)
        match chance.randrange(4):
            case 0 if spoiled:
                spoiled[where % len(spoiled)] = chance.randrange(256)
            case 1:
                del spoiled[where : where + chance.randrange(1, 9)]
            case 2:
                spoiled[where:where] = chance.choice((b"\xff" * 9, b"\x0a\xff\xff\xff\x07", b"\x0b" * 200, b"\x80" * 12, b"\x00"))
            case _:
                spoiled += spoiled[where : where + 50]
    return bytes(spoiled)


def _read_registration(data: bytes) -> None:
    registration = read_registration(data)
    if read_registration(write_registration(registration)) != registration:
        raise AssertionError(registration)
    address_of(registration)


def _read_question(data: bytes) -> None:
    question = read_question(data)
    if read_question(write_question(question)) != question:
        raise AssertionError(question)


class _Answers:
    """Reads answers one after the other, as one stream brings them."""

    def __init__(self) -> None:
        self._known: KnownDevices = {}
        self._presence = Presence.begin(0.0).registered("fuzz", shared=True)
        self._now = 0.0

    def read(self, data: bytes) -> None:
        snapshot, self._known = read_answer(data, self._known)
        usable = restricted(snapshot, USUAL)
        self._now += 1.0
        presence = self._presence.answered("fuzz", usable.devices, self._now, usable.gone_ids, usable.problems)
        view = presence.view(self._now, 60.0)
        self._presence = presence.pruned(self._now, 60.0)
        if len(view.present) > len(usable.devices):
            raise AssertionError(view)
        write_answer(snapshot, {})


def _inputs(chance: random.Random, answers: _Answers) -> tuple[Callable[[bytes], None], bytes]:
    kinds = ((_read_registration, _registration), (_read_question, _question), (answers.read, _answer))
    read, make = chance.choice(kinds)
    return read, chance.randbytes(chance.randrange(60)) if chance.random() < 0.2 else _spoiled(chance, make(chance))


def main(count: int, seed: int = 0) -> Counter[tuple[str, bool]]:
    """Read so many inputs; return how many each reader took (True) and refused (False).

    Raises AssertionError for one that takes too long, or where memory grows; whatever a reader raises, too.
    """
    chance, answers, warm, seen = random.Random(seed), _Answers(), 0, Counter[tuple[str, bool]]()
    for number in range(count):
        read, data = _inputs(chance, answers)
        began = time.process_time()
        try:
            read(data)
            seen[read.__name__, True] += 1
        except InvalidValueError as error:
            str(error)
            seen[read.__name__, False] += 1
        except Exception as error:
            error.add_note(f"input {number} of seed {seed}: {data!r}")
            raise
        took = time.process_time() - began
        if took > LONGEST:
            message = f"{took:.1f} s for input {number} of seed {seed}: {data!r}"
            raise AssertionError(message)
        if number == _WARM:
            warm = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm
    if warm and grown > MOST_MEMORY:
        message = f"the process grew by {grown} KiB"
        raise AssertionError(message)
    return seen


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
