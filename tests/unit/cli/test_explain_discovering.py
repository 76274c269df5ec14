"""What is said of handlers, filters, names, nodes and slots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve

from akri.cli.diagnosis.finding import Fault, Severity
from akri.cli.diagnosis.sight import Where
from akri.core.configuration import UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import NodeName
from akri.core.properties import FromConfigMap, FromSecret
from akri.core.reports import Condition, ConfigurationStatus, HandlerReport, KeptDevice, Reason
from akri.scheduling.model import NodeState
from tests.unit.cli.explain_samples import CAM, DEVICE, HANDLER, NOW, REPORT, SIGHT, Sample, event, explained, key, with_handler

EMPTY = evolve(HANDLER, devices=0, candidates=0)


def failed(error: str, reason: Reason | None = None, **changes: object) -> HandlerReport:
    """Describe a handler that fails."""
    return evolve(EMPTY, error=error, reason=reason, **changes)  # type: ignore[arg-type]


def _places() -> Iterator[tuple[str, Fault, str, str, Reason | None]]:
    missing = "no discovery handler udev is registered on this node; registered: debugEcho"
    yield missing, Fault.HANDLER_MISSING, "No discovery handler named udev is registered on node-a", "Start handler udev there", None
    yield "bad key", Fault.DETAILS_REFUSED, "Discovery handler udev refuses the discoveryDetails of", "Correct spec", Reason.DETAILS_REFUSED
    yield (
        "EACCES",
        Fault.NOT_PERMITTED,
        "A permission is lacking on node-a: discovery handler udev",
        "add the user",
        Reason.DISCOVERY_FAILED,
    )
    yield "gone", Fault.HANDLER_SILENT, "Discovery handler udev on node-a does not answer", "Look whether it runs", Reason.HANDLER_SILENT
    yield "odd", Fault.DISCOVERY_FAILED, "Discovery handler udev on node-a fails", "Look into the handler's log", Reason.DISCOVERY_FAILED
    yield "Secret a/b does not exist", Fault.PROPERTY_MISSING, "A discovery property of", "Make what it names", Reason.PROPERTY_MISSING


@pytest.mark.parametrize(("error", "fault", "title", "advice", "reason"), list(_places()), ids=lambda one: getattr(one, "name", ""))
def test_each_kind_of_trouble_has_its_words(error: str, fault: Fault, title: str, advice: str, reason: Reason | None) -> None:
    (found,) = explained(with_handler(failed(error, reason, endpoint="" if fault is Fault.HANDLER_MISSING else "embedded")))
    assert (found.fault, found.severity) == (fault, Severity.PROBLEM)
    assert found.title.startswith(title)
    assert found.advice.startswith(advice)
    assert "default/cam" in found.title
    assert error in found.evidence[0]


def test_trouble_of_one_node_is_a_problem_where_no_other_finds_anything() -> None:
    first, second = explained(with_handler(evolve(EMPTY, candidates=1), failed("odd", Reason.DISCOVERY_FAILED)))
    assert (first.fault, first.severity) == (Fault.DISCOVERY_FAILED, Severity.PROBLEM)
    assert (second.fault, second.severity) == (Fault.NOTHING_FOUND, Severity.PROBLEM)


def test_reports_on_a_former_configuration_of_the_name_do_not_count() -> None:
    sight = Sample.overview(reports=(evolve(REPORT, configuration_uid="former"),), instances=(), broker_pods=())
    assert [one.fault for one in explained(sight)] == [Fault.NOT_LOOKED_AT]


def test_an_agent_of_an_older_version_gives_no_kinds() -> None:
    assert explained(with_handler(failed("odd")))[0].fault is Fault.DISCOVERY_FAILED
    assert explained(with_handler(failed("none", endpoint="")))[0].fault is Fault.HANDLER_MISSING


def test_trouble_on_one_of_several_nodes_is_less_bad() -> None:
    answers = evolve(HANDLER, devices=1)
    missing = failed("none", Reason.HANDLER_MISSING, endpoint="")
    note, well = sorted(explained(with_handler(answers, missing, devices=True)), key=lambda one: one.fault is Fault.NOTHING)
    assert (note.fault, note.severity, well.fault) == (Fault.HANDLER_MISSING, Severity.NOTE, Fault.NOTHING)
    (refused,) = explained(with_handler(answers, failed("bad", Reason.DETAILS_REFUSED), devices=True))
    assert refused.severity is Severity.WARNING
    both = explained(with_handler(missing, missing))
    assert both[0].title.startswith("No discovery handler named udev is registered on node-a and node-b: ")


def test_a_handler_that_was_refused_by_the_operator() -> None:
    text = "no discovery handler x is registered on this node; registered: none; /a.sock was refused: 'x' is not allowed on this node"
    (found,) = explained(with_handler(failed(text, Reason.HANDLER_MISSING, endpoint="")))
    assert found.fault is Fault.NOT_PERMITTED
    assert found.advice.startswith("Let the operator allow it")


def test_a_handler_that_has_not_said_anything_for_long() -> None:
    silent = evolve(EMPTY, answered_at=0.0, message="no answer since it was asked at 12:00: it has nothing to say yet, or it hangs")
    (found,) = explained(with_handler(silent))
    assert found.fault is Fault.HANDLER_SILENT
    assert "it hangs" in found.title


def test_nothing_found_names_the_filter_that_drops_most_or_what_the_handler_says() -> None:
    several = [evolve(EMPTY, candidates=5, dropped={"uuids": 2, "scopes": 3}), evolve(EMPTY, candidates=1, dropped={"uuids": 1})]
    (found,) = explained(with_handler(*several))
    assert found.title == (
        "The filter of Configuration default/cam drops everything: of 6 candidates that udev sees on node-a and node-b, 3 fail at uuids"
    )
    (quiet,) = explained(with_handler(evolve(EMPTY, message="no device has the names that the rules ask for")))
    assert quiet.title == (
        "Discovery handler udev finds nothing on node-a for Configuration default/cam: no device has the names that the rules ask for"
    )
    (silent,) = explained(with_handler(EMPTY))
    assert silent.title.endswith("it sees no candidate")


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
@pytest.mark.parametrize("there", [False, True])
def test_what_is_missing_is_named_with_what_makes_it(kind: str, there: bool) -> None:
    reference = (FromSecret if kind == "Secret" else FromConfigMap)("user", key("camera", "b"), "k")
    cam = evolve(CAM, discovery=evolve(CAM.discovery, properties=(reference,)))
    what = "has no key 'k'" if there else "does not exist"
    error = f"discoveryProperties.user: {kind} b/camera {what}"
    sight = with_handler(failed(error, Reason.PROPERTY_MISSING))
    sight = evolve(sight, overview=evolve(sight.overview, configurations=(cam,)))
    (found,) = explained(sight)
    lack = "has no key k" if there else "is missing"
    assert found.title.startswith(f"{kind} b/camera {lack}: Configuration default/cam takes its discovery property user from it")
    commands = {
        ("Secret", False): "kubectl create secret generic camera -n b --from-literal=k=VALUE",
        ("ConfigMap", False): "kubectl create configmap camera -n b --from-literal=k=VALUE",
        ("Secret", True): """kubectl patch secret camera -n b -p '{"stringData": {"k": "VALUE"}}'""",
        ("ConfigMap", True): """kubectl patch configmap camera -n b -p '{"data": {"k": "VALUE"}}'""",
    }
    assert found.advice == f"Make it: {commands[kind, there]}"
    folder = f"/s/data/{kind.lower()}s/b/camera"
    (local,) = explained(evolve(sight, where=Where("/s")))
    assert local.advice == f"Make it: install -d -m 700 {folder} && (umask 077; printf %s VALUE > {folder}/k)"


def test_a_configuration_that_cannot_be_used_lists_all_that_is_wrong() -> None:
    problems = (Problem("spec.capacity", "0 is not valid"), Problem("spec.x", "unknown"))
    sight = Sample.overview(configurations=(UnreadableConfiguration(CAM.metadata, problems),))
    found = explained(sight)[0]
    assert found.title == "Configuration default/cam cannot be used: spec.capacity: 0 is not valid"
    assert found.advice.startswith("Correct it: akri edit cam")
    assert found.evidence == ("spec.capacity: 0 is not valid", "spec.x: unknown")
    (bare,) = explained(Sample.overview(configurations=(UnreadableConfiguration(CAM.metadata, ()),), reports=()))
    assert bare.title.endswith("nobody says why")


def test_the_controllers_word_counts_where_the_other_object_cannot_be_seen() -> None:
    condition = Condition("Accepted", status=False, reason=Reason.NAME_TAKEN, message="the name is taken", since=NOW - 5)
    status = ConfigurationStatus(1, (condition,))
    found = explained(Sample.overview(statuses={"u": status}))[0]
    assert (found.fault, found.title) == (Fault.NAME_TAKEN, "Configuration default/cam is refused: the name is taken")
    assert explained(Sample.overview(statuses={"u": evolve(status, generation=0)}))[0].fault is Fault.NOTHING


def test_a_configuration_that_nobody_looks_at() -> None:
    sight = Sample.overview(reports=(), instances=(), broker_pods=(), nodes=())
    (found,) = explained(sight)
    assert (found.fault, found.severity) == (Fault.NOT_LOOKED_AT, Severity.PROBLEM)
    assert found.advice == "Start an agent: kubectl get pods -A -l app.kubernetes.io/name=akri-agent shows those that there are"
    assert "no node is known" in found.evidence
    (local,) = explained(evolve(sight, where=Where("/s", " --state /s")))
    assert local.advice == "Start an agent: akri up --state /s"
    well, new = explained(evolve(sight, now=NOW - 3595))
    assert (well.fault, new.fault, new.severity) == (Fault.NOTHING, Fault.NOT_LOOKED_AT, Severity.NOTE)


def test_what_cannot_be_used_of_an_answer() -> None:
    report = evolve(REPORT, problems=("device 'a': too long", "device 'b': odd", "device foo0: x; kept until its grace is over"))
    (found,) = explained(Sample.overview(reports=(report,), instances=(), broker_pods=()))
    assert (found.fault, found.severity) == (Fault.DEVICE_UNUSABLE, Severity.PROBLEM)
    assert found.title == "Something cannot be used on node-a, for Configuration default/cam: device 'a': too long"
    assert len(found.evidence) == 2
    assert explained(Sample.overview(reports=(report,)))[0].severity is Severity.WARNING
    assert explained(Sample.overview(reports=(report,)), "instance/cam-8120fe")[0].fault is Fault.NOTHING


def test_a_device_that_is_kept_counts_down() -> None:
    kept = KeptDevice("foo0", "cam-8120fe", NOW + 61.2, 3, "its handler does not answer")
    sight = Sample.overview(reports=(evolve(REPORT, kept=(kept,)),))
    for name in ("cam", "cam-8120fe", "cam-8120fe-pod"):
        (found,) = explained(sight, name)
        assert found.title == (
            "Device foo0 (Instance default/cam-8120fe) is lost: node node-a does not see it, its handler does not answer; "
            "it is kept for another 1 min 2 s"
        )
        assert found.evidence[-1] == "it is given up at 01:47:41 UTC; the grace is 300 s"
    assert explained(evolve(sight, now=NOW + 63))[0].title.endswith("its grace is over, and it goes now")
    assert explained(evolve(sight, now=NOW + 100))[0].fault is Fault.NOTHING
    nameless = evolve(REPORT, kept=(KeptDevice("", "", NOW + 5, 1, "away"),))
    assert explained(Sample.overview(reports=(nameless,)))[0].title.startswith("Device a device without an Instance is lost")


def test_nodes_that_are_away_and_agents_that_are_silent() -> None:
    away = NodeState(NodeName("node-a"), ready=False, since=NOW - 60)
    (found,) = explained(evolve(Sample.overview(nodes=(away,)), where=Where("/s")))
    assert found.title == (
        "Node node-a has not been ready for 60 s: it counts as lost in 4 min 0 s; it has 1 device, 1 slot and 1 broker of "
        "Configuration default/cam"
    )
    assert found.advice.startswith("Bring it back: akri node --name node-a; ")
    (lost,) = explained(Sample.overview(nodes=(evolve(away, since=NOW - 400),)))
    assert lost.title.startswith("Node node-a is lost: it has not been ready for 7 min; ")
    assert lost.advice.startswith("Bring it back: kubectl describe node node-a; ")
    (unknown,) = explained(Sample.overview(nodes=()))
    assert unknown.title.startswith("Node node-a is lost: no node of this name is known any more; ")
    both = explained(Sample.overview(reports=(evolve(REPORT, written_at=NOW - 400),), nodes=(away,)))
    assert [one.fault for one in both] == [Fault.NODE_LOST], "that its agent is silent follows from it"
    (silent,) = explained(Sample.overview(reports=(evolve(REPORT, written_at=NOW - 400),)))
    assert (silent.fault, silent.severity) == (Fault.NODE_SILENT, Severity.WARNING)
    assert silent.title == "The agent on node node-a says nothing: its last report on default/cam came 7 min ago"


def test_slots_that_nobody_can_read_and_that_were_lost() -> None:
    odd = evolve(DEVICE, device_usage={"cam-8120fe-0": "a b", "rubbish": ""})
    (found,) = explained(Sample.overview(instances=(odd,)))
    assert (found.fault, len(found.evidence)) == (Fault.SLOT_UNREADABLE, 2)
    lost = event("Instance", "cam-8120fe", Reason.SLOT_LOST, "pod x on node-a uses slot cam-8120fe-0")
    (found,) = explained(Sample.overview(events=(lost,)))
    assert (
        found.title
        == "A pod uses a slot of Instance default/cam-8120fe that its node lost meanwhile: pod x on node-a uses slot cam-8120fe-0"
    )
    assert explained(Sample.overview(events=(evolve(lost, at=NOW - 700),)))[0].fault is Fault.NOTHING


def test_a_claim_that_was_refused_a_moment_ago_tells_who_holds_the_slot() -> None:
    refused = event("Configuration", "cam", Reason.SLOT_REFUSED, "cam-0: slot cam-8120fe-0 is held by node-a")
    (found,) = explained(Sample.overview(events=(refused,)))
    assert found.title == (
        "The one slot of Instance default/cam-8120fe is held by pod default/cam-8120fe-pod on node node-a, and a claim was refused"
    )
    assert found.severity is Severity.WARNING
    virtual = evolve(DEVICE, device_usage={"cam-8120fe-0": "C:cam-0:node-b"})
    (found,) = explained(
        Sample.overview(events=(refused,), instances=(virtual,), nodes=(*SIGHT.overview.nodes, NodeState(NodeName("node-b"))))
    )
    assert "is held by node node-b (as cam-0), and a claim was refused" in found.title
