"""`akri explain` as people and scripts use it: what it prints, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from akri.cli.group import cli
from akri.core.codec import read_configuration
from tests.unit.cli.scene import CAMERAS, NODES, Scene, configuration_document


def run(scene: Scene, *words: str) -> Result:
    return CliRunner().invoke(cli, ["explain", *words], obj=scene.opener)


def test_the_worst_comes_first_its_name_then_what_to_do_then_what_shows_it() -> None:
    done = run(Scene(), "echo")
    first, second, third, *rest = done.stdout.splitlines()
    assert done.exit_code == 1
    assert first.startswith(
        "Node node-b is lost: it has not been ready for 2 h; it has 2 devices, 1 slot and 0 brokers of Configuration default/echo"
    )
    assert second.startswith("  Bring it back: akri node --name node-b; ")
    assert third.startswith("  - node node-b was ready until ")
    assert any(line.startswith("Broker default/node-b-echo-8120fe-pod on node node-b does not stay up: ") for line in rest)
    assert "it is \\x1b[31mred" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_commands_to_type_carry_the_state_folder_that_was_given(tmp_path: Path) -> None:
    done = run(Scene(), "echo", "--state", str(tmp_path))
    assert f"akri node --name node-b --state {tmp_path}; " in done.stdout


def test_json_is_for_programs() -> None:
    done = run(Scene(), "configuration/echo", "-o", "json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["about"]) == (1, {"kind": "Configuration", "namespace": "default", "name": "echo"})
    assert document["findings"][0]["fault"] == "NodeLost"
    assert set(document["findings"][0]) == {"fault", "severity", "title", "advice", "evidence"}


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["ecco"], 3, "There is no Configuration, Instance or broker named ecco; is one of these meant? echo\n"),
        (["nothing-like-it-at-all-\x1b[31m"], 3, "There is no Configuration, Instance or broker named nothing-like-it-at-all-\\x1b[31m\n"),
        (["echo", "-n", "site"], 3, "There is no Configuration, Instance or broker named echo\n"),
        ([], 2, "Missing argument 'NAME'"),
        (["echo", "-o", "xml"], 2, "Invalid value for '-o'"),
    ],
)
def test_exit_codes_of_what_cannot_be_explained(words: list[str], code: int, text: str) -> None:
    done = run(Scene(), *words)
    assert done.exit_code == code
    assert text in done.stderr
    assert done.stdout == ""


def test_a_name_in_several_namespaces_has_to_be_told_more_exactly() -> None:
    scene = Scene()
    asyncio.run(scene.store.apply(read_configuration(configuration_document(CAMERAS, "other"))))
    done = run(scene, CAMERAS)
    assert (done.exit_code, "say which: -n other or -n site" in done.stderr) == (2, True)
    assert run(scene, CAMERAS, "-n", "site").exit_code == 1


def test_the_last_lines_of_a_broker_in_trouble_are_shown(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "default_node-b-echo-8120fe-pod_main.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)), encoding="utf-8")
    done = run(scene, "broker/node-b-echo-8120fe-pod")
    assert done.exit_code == 1
    assert [line for line in done.stdout.splitlines() if "log: " in line] == [f"  - log: line {number}" for number in range(96, 100)]
    log.write_text("cat: /dev/video0: Permission denied\n", encoding="utf-8")
    lines = run(scene, "broker/node-b-echo-8120fe-pod").stdout.splitlines()
    assert any("node-b may not open /dev/video0: cat: /dev/video0: Permission denied" in line for line in lines)


def test_nothing_wrong_is_said_with_what_there_is() -> None:
    scene = Scene()
    report = next(one for one in scene.store.reports if one.node == NODES[0])
    silent = run(scene, "node-a-echo-8120fe-pod")
    assert silent.stdout.startswith("The agent on node node-a says nothing: its last report on default/echo came 2 h ago\n")
    asyncio.run(scene.store.node(NODES[0]).publish_report(evolve(report, written_at=time.time())))
    done = run(scene, "node-a-echo-8120fe-pod")
    assert done.stdout.splitlines()[:2] == [
        "Nothing is wrong with Broker default/node-a-echo-8120fe-pod: Instance default/echo-8120fe",
        "  There is nothing to do; akri describe node-a-echo-8120fe-pod shows everything about it",
    ]
    assert (silent.exit_code, done.exit_code) == (1, 0)
