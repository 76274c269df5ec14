"""What rows and documents say of things in trouble, which a store seldom holds."""

from __future__ import annotations

import asyncio
import json

import pytest
from attrs import evolve

from akri.cli.cells import Style
from akri.cli.documents import api_name, as_json, as_yaml, document
from akri.cli.kinds import Kind
from akri.cli.listing import about_broker, about_configuration, things
from akri.cli.overview import Overview, look
from akri.core.configuration import Configuration, JobBroker, NoBroker, UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.ids import NodeName
from akri.core.metadata import ObjectMeta
from akri.core.reports import Condition, ConfigurationStatus, Reason
from akri.ports import ConfigurationObservation
from akri.scheduling.model import BrokerJob, BrokerPod, Phase
from tests.unit.cli.scene import Scene, key

POD = BrokerPod(key("pod"), "u", key("echo-1"), NodeName("n"), Phase.RUNNING)
JOB = BrokerJob(key("job"), "u", key("echo-1"))
UNREADABLE = UnreadableConfiguration(
    ObjectMeta(key("broken"), uid="u", generation=3, created=1.0, labels={"a": "b"}), (Problem("spec.capacity", "is wrong"),)
)


@pytest.fixture(scope="module")
def overview() -> Overview:
    async def seen(scene: Scene) -> Overview:
        return await look(scene.user)

    return asyncio.run(seen(Scene()))


def test_how_a_configuration_is_in_one_word(overview: Overview) -> None:
    configuration = overview.configurations[0]
    assert isinstance(configuration, Configuration)
    status = overview.statuses[configuration.metadata.uid]
    waiting = Condition("Discovering", status=False, reason=Reason.DISCOVERING)
    failing = Condition("BrokersReady", status=False, reason=Reason.BROKER_BACK_OFF)

    def said(one: Configuration, of: ConfigurationStatus | None) -> tuple[str, Style]:
        cell = about_configuration(one, of)
        return cell.text, cell.style

    assert said(configuration, status) == ("Ready", Style.GOOD)
    assert said(configuration, evolve(status, conditions=(waiting,))) == ("Discovering", Style.WAITING)
    assert said(configuration, evolve(status, conditions=(failing,))) == ("BrokerBackOff", Style.BAD)
    assert said(configuration, evolve(status, generation=0)) == ("Unobserved", Style.WAITING)
    assert said(configuration, None) == ("Unobserved", Style.WAITING)
    assert said(evolve(configuration, metadata=evolve(configuration.metadata, deleting=True)), status) == ("Deleting", Style.WAITING)
    assert about_configuration(UNREADABLE, None).text == "Invalid"


def test_how_a_broker_is_in_one_word() -> None:
    said = [
        about_broker(one).text
        for one in (
            POD,
            evolve(POD, deleting=True),
            evolve(POD, phase=Phase.PENDING),
            evolve(POD, phase=Phase.PENDING, reason="Unschedulable"),
            evolve(POD, phase=Phase.FAILED),
            evolve(POD, phase=Phase.SUCCEEDED),
            evolve(POD, reason="CrashLoopBackOff"),
            JOB,
            evolve(JOB, complete=True),
            evolve(JOB, failed=True, reason="BackoffLimitExceeded"),
        )
    ]
    assert said == [
        "Running",
        "Terminating",
        "Pending",
        "Unschedulable",
        "Failed",
        "Succeeded",
        "CrashLoopBackOff",
        "Active",
        "Complete",
        "BackoffLimitExceeded",
    ]
    assert about_broker(evolve(POD, reason="CrashLoopBackOff")).style is Style.BAD


def test_rows_of_what_cannot_be_read_and_of_other_brokers(overview: Overview) -> None:
    configuration = overview.configurations[0]
    assert isinstance(configuration, Configuration)
    every: list[ConfigurationObservation] = [UNREADABLE, *(evolve(configuration, broker=broker) for broker in (NoBroker(), JobBroker({})))]

    kinds = [things(Kind.CONFIGURATIONS, Overview(configurations=(one,)))[0].wide[0].text for one in every]
    assert kinds == ["-", "none", "job"]
    row = things(Kind.CONFIGURATIONS, Overview(configurations=(UNREADABLE,)))[0]
    assert [cell.text for cell in (*row.cells, *row.wide)] == ["-"] * 5 + ["Invalid", "-", "3", "spec.capacity: is wrong"]


def test_many_nodes_are_counted(overview: Overview) -> None:
    instance = evolve(overview.instances[0], nodes=tuple(NodeName(f"n{number}") for number in range(5)))

    assert things(Kind.INSTANCES, Overview(instances=(instance,)))[0].cells[2].text == "n0,n1,n2+2"


def test_documents_of_each_thing(overview: Overview) -> None:
    unreadable = document(UNREADABLE, {})
    assert unreadable["status"] == {"problems": ["spec.capacity: is wrong"]}
    assert document(evolve(POD, started=60.0, reason="Error", deleting=True), {})["status"] == {
        "phase": "Running",
        "reason": "Error",
        "startTime": "1970-01-01T00:01:00Z",
    }
    job = document(evolve(JOB, failed=True, reason="Deadline", finished=60.0), {})
    assert job["status"] == {
        "conditions": [{"type": "Failed", "status": "True", "reason": "Deadline"}],
        "completionTime": "1970-01-01T00:01:00Z",
    }
    names = [api_name(thing) for kind in Kind for thing in things(kind, overview)]
    assert {name.partition("/")[0] for name in names} == {
        "configuration.akri.sh",
        "instance.akri.sh",
        "pod",
        "job.batch",
        "discoveryreport.akri.sh",
        "node",
    }


def test_documents_show_no_control_character() -> None:
    assert as_json({"a": "\x9b\u202e大"}) == '{\n  "a": "\\u009b\\u202e大"\n}'
    assert json.loads(as_json({"a": "\U000e0001\x7f"})) == {"a": "\U000e0001\x7f"}
    assert as_json({"a": 1}, lines=False) == '{"a": 1}'
    assert as_yaml({"a": "\x9b"}) == 'a: "\\u009b"'
