"""`akri describe`: everything about one thing, found by kind or by name alone."""

from __future__ import annotations

import time

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from akri.cli.cells import Cell
from akri.cli.description import Fields, Section, Sight, describe
from akri.cli.group import cli
from akri.cli.kinds import Kind
from akri.cli.listing import things
from akri.cli.overview import look
from akri.core.configuration import UnreadableConfiguration
from akri.core.errors import Problem
from akri.core.metadata import ObjectMeta
from akri.core.reports import KeptDevice
from tests.unit.cli.scene import ECHO, Scene, key


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def run(scene: Scene, *words: str) -> Result:
    return CliRunner().invoke(cli, ["describe", *words], obj=scene.opener)


def rows(output: str, title: str) -> list[list[str]]:
    """Cells of a section, without its header."""
    section = output.split(f"\n{title}:\n")[1].split("\n\n", maxsplit=1)[0]
    return [line.split() for line in section.splitlines()[1:]]


def test_a_configuration_with_all_that_belongs_to_it(scene: Scene) -> None:
    done = run(scene, "akric", "echo")

    assert done.exit_code == 0
    assert "Status:      Ready\n" in done.stdout
    assert "Broker:      a pod for each node: main (image broker)\n" in done.stdout
    assert rows(done.stdout, "Broker properties") == [["COLOUR", "green"]]
    assert rows(done.stdout, "Conditions")[0][:3] == ["Accepted", "True", "Accepted"]
    assert [row[0] for row in rows(done.stdout, "Discovery")] == ["node-a", "node-b"]
    assert "1 dropped: by name" in done.stdout
    assert [row[0] for row in rows(done.stdout, "Instances")] == list(ECHO)
    assert [row[2] for row in rows(done.stdout, "Brokers")] == ["Running", "Error"]
    assert [row[2] for row in rows(done.stdout, "Events")] == ["Accepted", "SlotRefused"]
    assert "\x1b" not in done.stdout


def test_an_instance_with_its_slots_and_who_holds_them(scene: Scene) -> None:
    done = run(scene, ECHO[0])

    assert rows(done.stdout, "Slots") == [
        ["echo-8120fe-0", "node-a", "the", "device's", "own", "resource", "node-a-echo-8120fe-pod"],
        ["echo-8120fe-1", "node-b", "the", "Configuration's", "resource,", "echo-0", "-"],
    ]
    assert rows(done.stdout, "Properties") == [["COLOUR", "green"], ["DEBUG_ECHO_DESCRIPTION", "foo0"]]
    assert rows(run(scene, ECHO[1]).stdout, "Slots")[0][:2] == ["echo-a19705-0", "free"]


def test_a_broker_with_its_containers(scene: Scene) -> None:
    done = run(scene, "broker/node-b-echo-8120fe-pod")

    assert "Kind:           Pod\n" in done.stdout
    assert "Failed before:  3 times\n" in done.stdout
    assert rows(done.stdout, "Containers")[0][0] == "main"


def test_a_job_with_its_pods(scene: Scene) -> None:
    done = run(scene, "job/cameras-ffffff-1-job", "-n", "site")

    assert done.exit_code == 0
    assert "Kind:           Job\n" in done.stdout
    assert "Pods: none\n" in done.stdout


def test_nodes_and_reports(scene: Scene) -> None:
    nodes = run(scene, "nodes").stdout.split("\n\n\n")

    assert [node.splitlines()[2].split() for node in nodes] == [["Status:", "Ready"], ["Status:", "NotReady"]]
    assert "Node:           node-a\n" in run(scene, "report/echo.node-a").stdout


def test_what_is_not_there_is_named(scene: Scene) -> None:
    assert run(scene, "nope").stderr == "Error: there is no thing nope in namespace default\n"
    assert run(scene, "akrii", "nope").stderr == "Error: there is no instance nope in namespace default\n"
    assert run(scene, "akrii", "nope", "-A").stderr == "Error: there is no instance nope in any namespace\n"
    assert run(scene, "nope").exit_code == 1
    assert run(scene, "akrii", "-n", "empty").exit_code == 0
    assert run(scene, "akrii/").exit_code == 2


async def test_trouble_is_told(scene: Scene) -> None:
    overview = await look(scene.user)
    kept = KeptDevice("foo0", ECHO[0], time.time() + 65, 2, "not in two answers")
    unreadable = UnreadableConfiguration(ObjectMeta(key("broken"), uid="u"), (Problem("spec.capacity", "is wrong"),))
    strange = evolve(overview.instances[0], device_usage={"odd": "a b"})
    reports = (evolve(overview.reports[0], kept=(kept,), problems=("two devices with one id",)), *overview.reports[1:])
    overview = evolve(overview, reports=reports, configurations=(*overview.configurations, unreadable), instances=(strange,))
    sight = Sight(overview, (), time.time())

    said = {thing.key.name: list(describe(thing, sight)) for kind in Kind for thing in things(kind, overview)}
    sections = {(name, block.title): block for name, blocks in said.items() for block in blocks if isinstance(block, Section)}
    assert texts(sections["echo", "Lost devices in their grace"])[0][3] in {"64s", "65s"}
    assert texts(sections["echo", "Problems"]) == [["node-a", "two devices with one id"]]
    assert texts(sections["broken", "Problems"]) == [["spec.capacity: is wrong"]]
    assert texts(sections[ECHO[0], "Slots"])[-1][:3] == ["odd", "a b", "nobody can read this"]
    assert texts(sections[ECHO[0], "Lost, in its grace"])[0][2] == "not in two answers"
    heading = said["broken"][0]
    assert isinstance(heading, Fields)
    assert ("Status", "Invalid") in [(name, value.text) for name, value in heading.pairs]


def texts(section: Section) -> list[list[str]]:
    def text(cell: Cell) -> str:
        return cell.text

    return [list(map(text, row)) for row in section.rows]
