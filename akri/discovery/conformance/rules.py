"""What the discovery protocol asks of a handler, rule by rule, and how a handler did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from akri.core.errors import InvalidValueError

__all__ = ["RULES", "Outcome", "Rule", "Verdict", "chosen"]


@frozen
class Rule:
    """One thing that agents rely on. id: what it is called. expected: what a handler does. why: what goes wrong otherwise."""

    id: str
    expected: str
    why: str


class Verdict(Enum):
    """How a handler did."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@frozen
class Outcome:
    """How a handler did with one rule. found: what came instead of what was expected, or why the rule was not tried."""

    rule: Rule
    verdict: Verdict
    found: str = ""

    def __str__(self) -> str:
        """Print in one line."""
        line = f"{self.verdict.value:9}  {self.rule.id}"
        match self.verdict:
            case Verdict.PASSED:
                return line
            case Verdict.NOT_TRIED:
                return f"{line}: {self.found}"
            case Verdict.FAILED:
                return f"{line}: expected: {self.rule.expected}; came: {self.found}"


_ALL: Final = (
    Rule(
        "waits-for-agent",
        "a handler that is started while there is no agent runs and waits for one",
        "pods of a node start in any order",
    ),
    Rule(
        "registers",
        "it registers at agent-registration.sock soon after the socket is there",
        "no agent asks a handler that it does not know",
    ),
    Rule(
        "registration",
        "it registers a name, and an endpoint at which it is listening already",
        "the agent asks at once, and backs off from an endpoint that does not answer",
    ),
    Rule(
        "first-answer", "details that are good are answered soon, with no devices if there are none", "silence cannot be told from a hang"
    ),
    Rule("readable", "each answer is a DiscoverResponse, its texts UTF-8", "an answer that cannot be read is lost as a whole"),
    Rule("unique-ids", "no device is in an answer twice", "an id stands for one device, so one of the two is lost"),
    Rule("device-ids", "ids have 1 to 4096 characters, none of them a control character", "a device with another id is refused"),
    Rule(
        "properties",
        "at most 256 properties, their names not empty and without '=', names and values without NUL and of at most 4096 characters",
        "they become variables of the broker's environment",
    ),
    Rule("paths", "paths of mounts and device nodes are absolute, without '..' and control characters", "a device with others is refused"),
    Rule("permissions", "permissions of device nodes are some of r, w, m, in this order", "a device with others is refused"),
    Rule(
        "stays-open",
        "a stream stays open while nothing happens",
        "the agent takes the end of a stream for a failure, and the devices for unseen",
    ),
    Rule(
        "no-news-no-answer",
        "after the first answer there is another one only if something changed; order is no change",
        "each answer is work for every agent",
    ),
    Rule("stable-ids", "the same devices have the same ids in every stream", "another id is another device: brokers are started anew"),
    Rule(
        "stable-devices",
        "a device that did not change has the same properties, mounts and device nodes in every stream",
        "a device that differs counts as changed",
    ),
    Rule("bad-details", "details that cannot be used end the stream with INVALID_ARGUMENT", "any other end is tried again for ever"),
    Rule("bad-details-sentence", "that end says what is wrong in a sentence", "it is all that the user of the Configuration sees"),
    Rule("survives-bad-details", "it answers good details after bad ones", "one wrong Configuration must not stop the others"),
    Rule("parallel-streams", "streams that are open at the same time are all answered", "each Configuration has a stream of its own"),
    Rule("cancelled-stream", "a stream that is cancelled does not disturb another one", "Configurations come and go"),
    Rule("many-cancelled-streams", "it still answers after many cancelled streams", "Configurations come and go"),
    Rule("change-told", "a change of the devices is told to streams that are open", "agents do not ask again while a stream is open"),
    Rule(
        "whole-answers",
        "each answer, the first one too, holds all devices that are there: an old stream's last answer is a new one's first",
        "a device that is not in an answer counts as gone",
    ),
    Rule("slow-reader", "a stream that is not read holds up no other one", "an agent can be busy, or hang"),
    Rule("large-question", "a question of 5 MiB is taken: both ends take 64 MiB", "discovery properties hold certificates and lists"),
    Rule("large-answer", "a large set arrives whole: both ends take 64 MiB", "gRPC's usual 4 MiB ends at a few thousand devices"),
    Rule(
        "registers-after-lost-stream",
        "it registers again after the agent dropped its stream",
        "that is how an agent that forgot learns of it",
    ),
    Rule(
        "registers-with-new-agent",
        "it registers again after the agent was started anew",
        "an agent may start without any memory of its handlers",
    ),
    Rule(
        "same-registration",
        "it registers the same name, endpoint and shared each time",
        "another endpoint is another handler, and what it finds is merged",
    ),
    Rule("lets-go", "what it opened for a stream is closed when the stream was cancelled", "it runs for months"),
    Rule("ends", "it ends soon after SIGTERM", "a pod that does not is killed, and the node waits for it"),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.id: rule for rule in _ALL})
"""All rules by id, in the order in which they are tried."""


def chosen(ids: Sequence[str]) -> tuple[str, ...]:
    """Give the ids in the order in which they are tried, all of them for none; raise InvalidValueError for one that is no rule's."""
    for one in ids:
        if one not in RULES:
            raise InvalidValueError("rule", one, f"one of {', '.join(RULES)}")
    return tuple(rule for rule in RULES if not ids or rule in ids)
