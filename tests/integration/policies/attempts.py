"""The table: every request that sharing.md's "Who may write what" allows an agent, and every one that it forbids.

Each is data: who asks, what is stored, what the request makes of it, and what must come of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from tests.cluster.admin import Manifest
from tests.integration.policies.edits import (
    add_key,
    add_owner,
    annotate,
    cut_report,
    drop_annotation,
    drop_key,
    fence,
    meta,
    nodes,
    nothing,
    own,
    rename,
    spec,
    use,
)
from tests.integration.policies.objects import Edit, created, local, owner, report, shared, together, unreadable, upstreams, without_nodes

__all__ = ["CHANGES", "CREATIONS", "DELETIONS", "NOWHERE", "REPORT_CHANGES", "REPORT_CREATIONS", "Attempt"]

NOWHERE: Final = ""
"""The node of a token that names none."""
A: Final = "node-a"
B: Final = "node-b"
C: Final = "node-c"
D: Final = "node-d"
HERS: Final = "C:cam-7:node-b"
"""Node-b's text for a slot that it holds through the Configuration's resource."""


@frozen
class Attempt:
    """A request. `by`: the node of the agent's token. `start`: what is there before, or, of a creation, what a good agent would send.

    `refusal`: part of the message of the expected refusal; None where the request must pass.
    """

    name: str
    by: str
    edit: Edit
    refusal: str | None = None
    start: Callable[[str], Manifest] = shared


def _creation(name: str, edit: Edit, refusal: str | None = None, by: str = A) -> Attempt:
    return Attempt(name, by, edit, refusal, created)


CREATIONS: Final = (
    _creation("a shared device", nothing),
    _creation("a device of its own", spec(shared=False)),
    _creation("without keys", spec(deviceUsage={})),
    _creation("without annotations", meta(annotations={})),
    _creation("with a token without node", spec(nodes=[""]), "token of this agent names no node", NOWHERE),
    _creation("for another node", nodes(B), "spec.nodes: node node-a must create an Instance with itself alone"),
    _creation("with another node", nodes(A, B), "spec.nodes: node node-a"),
    _creation("without nodes", nodes(), "spec.nodes: node node-a"),
    _creation("holding a slot", use(1, A), "spec.deviceUsage: node node-a must create an Instance with free slots only"),
    _creation("with a slot held by another node", use(1, B), "spec.deviceUsage: node node-a"),
    _creation("with a key beyond the capacity in use", use(7, A), "spec.deviceUsage: node node-a"),
    _creation("without an owner", meta(ownerReferences=[]), "metadata.ownerReferences: node node-a must create an Instance with one owner"),
    _creation(
        "with two owners", meta(ownerReferences=[owner(), owner(name="dog", uid="9", controller=False)]), "ownerReferences: node node-a"
    ),
    _creation("with an owner that does not control it", meta(ownerReferences=[owner(controller=False)]), "ownerReferences: node node-a"),
    _creation("with a pod as its owner", meta(ownerReferences=[owner(apiVersion="v1", kind="Pod")]), "ownerReferences: node node-a"),
    _creation("with an owner of another group", meta(ownerReferences=[owner(apiVersion="evil.sh/v0")]), "ownerReferences: node node-a"),
    _creation("with an owner of another kind", meta(ownerReferences=[owner(kind="Instance")]), "ownerReferences: node node-a"),
    _creation("with another Configuration as its owner", meta(ownerReferences=[owner(name="dog")]), "ownerReferences: node node-a"),
    _creation(
        "named after another Configuration",
        together(spec(configurationName="ca"), meta(ownerReferences=[owner(name="ca")])),
        "metadata.name: node node-a must create an Instance whose name begins with ca-",
    ),
    _creation("with a finalizer", meta(finalizers=["akri.sh/node-a"]), "metadata.finalizers: node node-a must not set any"),
    _creation("with a label", meta(labels={"app": "x"}), "metadata.labels: node node-a must not set any"),
)
"""Creations of an Instance."""

_CHANGES_OF_NODES: Final = (
    Attempt("a node joins at the end", C, nodes(A, B, C)),
    Attempt("a node leaves", B, nodes(A)),
    Attempt("the reporter leaves", A, nodes(B)),
    Attempt("the last node leaves", A, nodes(), start=created),
    Attempt("a node adds another one", B, nodes(A, B, C), "spec.nodes: node node-b must only add itself at the end"),
    Attempt("a node adds itself and another one", C, nodes(A, B, C, D), "spec.nodes: node node-c"),
    Attempt("a node makes itself the reporter by joining", C, nodes(C, A, B), "spec.nodes: node node-c"),
    Attempt("a node makes itself the reporter by changing the order", B, nodes(B, A), "spec.nodes: node node-b"),
    Attempt("a node removes another one", B, nodes(B), "spec.nodes: node node-b"),
    Attempt("a node takes the place of another one", C, nodes(C, B), "spec.nodes: node node-c"),
    Attempt("a node removes all", B, nodes(), "spec.nodes: node node-b"),
    Attempt("a stranger removes a node", C, nodes(A), "spec.nodes: node node-c"),
    Attempt("a node joins what is not shared", B, nodes(A, B), "spec.nodes: node node-b must not join an Instance that is not", local),
    Attempt("a node leaves what is not shared", A, nodes(), start=local),
)

_CHANGES_OF_SLOTS: Final = (
    Attempt("a free slot is claimed", A, use(0, A)),
    Attempt("a free slot is claimed through the Configuration", B, use(0, HERS)),
    Attempt("a slot whose key is missing is claimed", B, use(4, B)),
    Attempt("a slot of upstream's Instance is claimed", B, use(0, B), start=upstreams),
    Attempt("two slots are claimed at once", B, together(use(0, B), use(4, HERS))),
    Attempt("a node joins and claims at once", C, together(nodes(A, B, C), use(0, C))),
    Attempt("a slot is released", B, use(2, "")),
    Attempt("a slot is released by a node that left", D, use(3, "")),
    Attempt("a node leaves and releases at once", B, together(nodes(A), use(2, ""))),
    Attempt("a held slot goes to the other resource", B, use(2, B)),
    Attempt("a slot that another node holds is taken", B, use(1, B), "must not change slot {name}-1, which is held by node-a"),
    Attempt("a slot that another node holds is freed", B, use(1, ""), "must not change slot {name}-1, which is held by node-a"),
    Attempt("the reporter frees the slot of a node that left", A, use(3, ""), "node node-a must not change slot {name}-3"),
    Attempt("the reporter removes the key of a held slot", A, drop_key(3), "node node-a must not change slot {name}-3"),
    Attempt(
        "a slot held through the Configuration is taken", A, use(2, A), "must not change slot {name}-2, which is held by C:cam-0:node-b"
    ),
    Attempt("a slot is claimed for another node", B, use(0, A), "spec.deviceUsage: node node-b must not write node-a into slot {name}-0"),
    Attempt("a slot is claimed through the Configuration for another node", B, use(0, "C:cam-7:node-a"), "node node-b must not write"),
    Attempt("a missing key is added for another node", B, use(4, A), "node node-b must not write node-a into slot {name}-4"),
    Attempt("a held slot is handed to another node", B, use(2, A), "node node-b must not write node-a into slot {name}-2"),
    Attempt("a text that nobody can read is written", B, use(0, "C:node-a:cam-0:node-b"), "node node-b must not write"),
    Attempt("a text that nobody can read is removed", B, use(1, ""), "node node-b must not change slot {name}-1", unreadable),
    Attempt("a text without a virtual device is written", B, use(0, "C::node-b"), "node node-b must not write"),
    Attempt("a stranger claims", C, use(0, C), "node node-c is not in spec.nodes, so it must not take slot {name}-0"),
    Attempt("a stranger claims a missing key", C, use(4, C), "node node-c is not in spec.nodes"),
    Attempt("a node that left claims more", D, use(0, D), "node node-d is not in spec.nodes"),
    Attempt("a node leaves and claims at once", B, together(nodes(A), use(0, B)), "node node-b is not in spec.nodes"),
    Attempt(
        "a slot beyond the capacity is claimed", B, use(5, B), "node node-b must not add {name}-5, which is no slot below the capacity 5"
    ),
)

_CHANGES_OF_KEYS: Final = (
    Attempt("the reporter adds the key of a free slot", A, use(4, "")),
    Attempt("the reporter removes the key of a free slot", A, drop_key(0)),
    Attempt("the reporter raises the capacity", A, together(spec(capacity=7), use(4, ""), use(5, ""), use(6, ""))),
    Attempt("the reporter lowers the capacity", A, together(spec(capacity=1))),
    Attempt("the reporter adds a key beyond the capacity", A, use(5, ""), "node node-a must not add {name}-5"),
    Attempt("the reporter adds a key that is no slot", A, add_key("rubbish"), "node node-a must not add rubbish"),
    Attempt("the reporter adds a slot of another Instance", A, add_key("{other}-4"), "node node-a must not add cam-"),
    Attempt("the reporter adds a key with a leading zero", A, add_key("{name}-04"), "node node-a must not add {name}-04"),
    Attempt("the reporter adds a key with a sign", A, add_key("{name}--4"), "node node-a must not add {name}--4"),
    Attempt("a node claims a key that is no slot", B, add_key("rubbish", B), "node node-b must not add rubbish"),
    Attempt("a node adds the key of a free slot", B, use(4, ""), "must not add or remove {name}-4: it is not the first of spec.nodes"),
    Attempt("a node removes the key of a free slot", B, drop_key(0), "node node-b must not add or remove {name}-0"),
    Attempt("a node removes the key of its own slot", B, drop_key(2), "node node-b must not add or remove {name}-2"),
    Attempt("the first node joins and removes a key at once", B, together(nodes(B), drop_key(0)), "must not add or remove", without_nodes),
)

_CHANGES_OF_THE_REST: Final = (
    Attempt("nothing is changed", C, nothing),
    Attempt("the reporter writes properties", A, spec(brokerProperties={"URL": "rtsp://2"})),
    Attempt(
        "the reporter writes annotations",
        A,
        together(annotate("akri.sh/configuration-generation", "2"), annotate("akri.sh/device-id", "x")),
    ),
    Attempt("the reporter annotates upstream's Instance", A, annotate("akri.sh/device-id", "foo0"), start=upstreams),
    Attempt("a node fences", B, fence("1")),
    Attempt("a node that left and holds a slot fences", D, fence("1")),
    Attempt("a node fences and releases at once", D, together(fence("1"), use(3, ""))),
    Attempt("a token without node joins", NOWHERE, nodes(""), "token of this agent names no node", without_nodes),
    Attempt("a token without node writes", NOWHERE, annotate("akri.sh/x", "1"), "token of this agent names no node", without_nodes),
    Attempt("a node writes the capacity", B, spec(capacity=9), "spec.capacity: node node-b must not change it"),
    Attempt("a node lowers the capacity", B, spec(capacity=1), "spec.capacity: node node-b must not change it"),
    Attempt("a node writes properties", B, spec(brokerProperties={"URL": "rtsp://evil"}), "spec.brokerProperties: node node-b must not"),
    Attempt("a stranger removes properties", C, spec(brokerProperties={}), "spec.brokerProperties: node node-c must not"),
    Attempt(
        "a node changes an annotation", B, annotate("akri.sh/device-id", "evil"), "metadata.annotations: node node-b must not change them"
    ),
    Attempt("a node adds an annotation", B, annotate("akri.sh/x", "1"), "metadata.annotations: node node-b must not change them"),
    Attempt(
        "a node removes an annotation", B, drop_annotation("akri.sh/device-id"), "metadata.annotations: node node-b must not change them"
    ),
    Attempt(
        "a node annotates upstream's Instance", B, annotate("akri.sh/device-id", "evil"), "metadata.annotations: node node-b", upstreams
    ),
    Attempt("a stranger fences", C, fence("1"), "metadata.annotations: node node-c must not write akri.sh/fence"),
    Attempt("the owner is removed", A, meta(ownerReferences=[]), "metadata.ownerReferences: node node-a must not change them"),
    Attempt("the owner is replaced", A, meta(ownerReferences=[owner(uid="9-9-9")]), "metadata.ownerReferences: node node-a"),
    Attempt("a finalizer is added", A, meta(finalizers=["akri.sh/node-a"]), "metadata.finalizers: node node-a must not change them"),
    Attempt("a finalizer of upstream is removed", A, meta(finalizers=["akri.sh/node-b"]), "metadata.finalizers: node node-a", upstreams),
    Attempt("a label is added", A, meta(labels={"app": "x"}), "metadata.labels: node node-a must not change them"),
)

CHANGES: Final = (*_CHANGES_OF_NODES, *_CHANGES_OF_SLOTS, *_CHANGES_OF_KEYS, *_CHANGES_OF_THE_REST)
"""Changes of an Instance."""

DELETIONS: Final = (
    Attempt("the only node deletes", A, nothing, start=created),
    Attempt("anybody deletes what nobody sees", B, nothing, start=without_nodes),
    Attempt("the reporter deletes what others see", A, nothing, "must not delete an Instance that node node-b sees"),
    Attempt("a stranger deletes", B, nothing, "node node-b must not delete an Instance that node node-a sees", local),
    Attempt("a token without node deletes", NOWHERE, nothing, "token of this agent names no node", without_nodes),
)
"""Deletions of an Instance."""


def _report(name: str, edit: Edit, refusal: str | None = None, by: str = A) -> Attempt:
    return Attempt(name, by, edit, refusal, report)


_OWNER_OF_ANOTHER: Final = "metadata.ownerReferences: node node-a must write a report with one owner"

REPORT_CREATIONS: Final = (
    _report("its own", nothing),
    _report("with a token without node", nothing, "token of this agent names no node", NOWHERE),
    _report("of no node, under a name that was cut", cut_report, "token of this agent names no node", NOWHERE),
    _report("of another node", nothing, "spec.nodeName: node node-b must not write the report of node node-a", B),
    _report("in the place of another node's", rename("{configuration}.node-b"), "metadata.name: node node-a must name this report"),
    _report("under any name", meta(name="x"), "metadata.name: node node-a must name this report"),
    _report("without an owner", meta(ownerReferences=[]), _OWNER_OF_ANOTHER),
    _report("with an owner that does not control it", own(controller=False), _OWNER_OF_ANOTHER),
    _report("with two owners", add_owner(name="dog", uid="9", controller=False), _OWNER_OF_ANOTHER),
    _report("with an owner of another group", own(apiVersion="evil.sh/v0"), _OWNER_OF_ANOTHER),
    _report("with an owner of another kind", own(kind="Instance"), _OWNER_OF_ANOTHER),
    _report("with another Configuration as its owner", own(name="dog"), _OWNER_OF_ANOTHER),
    _report("with a finalizer", meta(finalizers=["akri.sh/node-a"]), "metadata.finalizers: node node-a must not set any"),
    _report("with a label", meta(labels={"app": "x"}), "metadata.labels: node node-a must not set any"),
)
"""Creations of a DiscoveryReport."""
REPORT_CHANGES: Final = (
    _report("its own", spec(generation=2, problems=["none"])),
    _report("that of another node", spec(generation=2), "spec.nodeName: node node-b must not write the report of node node-a", B),
    _report("with a token without node", spec(generation=2), "token of this agent names no node", NOWHERE),
    _report("without an owner", meta(ownerReferences=[]), _OWNER_OF_ANOTHER),
    _report("with a finalizer", meta(finalizers=["akri.sh/node-a"]), "metadata.finalizers: node node-a must not set any"),
    _report("with a label", meta(labels={"app": "x"}), "metadata.labels: node node-a must not set any"),
)
"""Changes of a DiscoveryReport."""
