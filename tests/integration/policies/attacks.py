"""For each rule of deploy/policies.yaml the attack that succeeds without it: a request of the table that nothing else refuses.

A rule is named by its policy and its message.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tests.integration.policies.attempts import CHANGES, CREATIONS, DELETIONS, REPORT_CREATIONS, Attempt

__all__ = ["ATTACKS", "Attack", "Rule"]

_CREATE: Final = "akri-agent-creates-instances"
_CHANGE: Final = "akri-agent-changes-instances"
_DELETE: Final = "akri-agent-deletes-instances"
_REPORT: Final = "akri-agent-writes-reports"
_TABLES: Final = {_CREATE: CREATIONS, _CHANGE: CHANGES, _DELETE: DELETIONS, _REPORT: REPORT_CREATIONS}
_NODELESS: Final = "the token of this agent names no node; use the one that is mounted into its pod"


@frozen
class Rule:
    """One validation of one policy."""

    policy: str
    message: str


@frozen
class Attack:
    """The request that is stopped by this rule alone."""

    rule: Rule
    attempt: Attempt


def _attacks(policy: str, names: dict[str, str]) -> tuple[Attack, ...]:
    attempts = {attempt.name: attempt for attempt in _TABLES[policy]}
    return tuple(Attack(Rule(policy, message), attempts[name]) for message, name in names.items())


ATTACKS: Final = (
    *_attacks(
        _CREATE,
        {
            _NODELESS: "with a token without node",
            "spec.nodes: an agent creates an Instance with its own node alone": "for another node",
            "spec.deviceUsage: a new Instance has free slots only": "with a slot held by another node",
            "metadata.ownerReferences: an Instance has one owner, its controller, the Configuration of spec.configurationName": (
                "with a pod as its owner"
            ),
            "metadata.name: the name of an Instance begins with spec.configurationName and a dash": "named after another Configuration",
            "metadata.finalizers: agents set none": "with a finalizer",
            "metadata.labels: agents set none": "with a label",
        },
    ),
    *_attacks(
        _CHANGE,
        {
            _NODELESS: "a token without node joins",
            "spec.nodes: an agent adds its own node at the end or removes it": "a node removes another one",
            "spec.nodes: nobody joins an Instance that is not shared": "a node joins what is not shared",
            "spec.deviceUsage: an agent changes slots only that are free or held by its own node": (
                "a slot that another node holds is taken"
            ),
            "spec.deviceUsage: an agent writes its own node only, or nothing": "a slot is claimed for another node",
            "spec.deviceUsage: only a node of spec.nodes takes a slot": "a stranger claims",
            "spec.deviceUsage: an added key is a slot of the Instance below its capacity": "a slot beyond the capacity is claimed",
            "spec.deviceUsage: only the first of spec.nodes adds and removes keys of free slots": "a node removes the key of a free slot",
            "spec.capacity: only the first of spec.nodes changes it": "a node writes the capacity",
            "spec.brokerProperties: only the first of spec.nodes changes them": "a node writes properties",
            "metadata.annotations: only the first of spec.nodes changes them, akri.sh/fence excepted": "a node changes an annotation",
            "metadata.annotations: only a node that is in spec.nodes or holds a slot writes akri.sh/fence": "a stranger fences",
            "metadata.ownerReferences: agents do not change them": "the owner is replaced",
            "metadata.finalizers: agents do not change them": "a finalizer is added",
            "metadata.labels: agents do not change them": "a label is added",
        },
    ),
    *_attacks(
        _DELETE,
        {
            _NODELESS: "a token without node deletes",
            "spec.nodes: an agent deletes an Instance only that no other node sees": "a stranger deletes",
        },
    ),
    *_attacks(
        _REPORT,
        {
            "spec.nodeName: an agent writes the reports of its own node only": "of another node",
            "metadata.name: a report is named after its Configuration and its node": "in the place of another node's",
            "metadata.ownerReferences: a report has one owner, its controller, the Configuration of spec.configurationName": (
                "with another Configuration as its owner"
            ),
            "metadata.finalizers: agents set none": "with a finalizer",
            "metadata.labels: agents set none": "with a label",
        },
    ),
)
"""One for each rule."""
