"""`akri apply` and `akri delete`: what is written, what is refused, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.group import cli
from akri.core.configuration import Configuration
from akri.core.ids import ObjectKey
from tests.unit.cli.scene import Scene, configuration_document, key


def run(scene: Scene, *words: str, text: str = "") -> Result:
    return CliRunner().invoke(cli, list(words), obj=scene.opener, input=text)


def document(name: str, capacity: int = 2, namespace: str = "default") -> str:
    return json.dumps(configuration_document(name, namespace, capacity))


def capacity(scene: Scene, at: ObjectKey) -> int | None:
    stored = scene.store.configuration(at)
    return stored.capacity if isinstance(stored, Configuration) else None


def test_what_becomes_of_each_is_said() -> None:
    scene = Scene()

    assert run(scene, "apply", "-f", "-", text=document("new")).stdout == "configuration.akri.sh/new created\n"
    assert run(scene, "apply", "-f", "-", text=document("new")).stdout == "configuration.akri.sh/new unchanged\n"
    assert run(scene, "apply", "-f", "-", text=document("new", 5)).stdout == "configuration.akri.sh/new configured\n"
    assert capacity(scene, key("new")) == 5


def test_a_folder_is_its_files_and_the_namespace_is_for_those_without(tmp_path: Path) -> None:
    scene = Scene()
    (tmp_path / "b.yaml").write_text(document("b", namespace="own"))
    (tmp_path / "a.json").write_text(document("a").replace('"namespace": "default"', '"labels": {}'))
    (tmp_path / "notes.txt").write_text("no Configuration")

    done = run(scene, "apply", "-f", str(tmp_path), "-n", "site")

    assert done.stdout == "configuration.akri.sh/a created\nconfiguration.akri.sh/b created\n"
    assert (capacity(scene, key("a", "site")), capacity(scene, key("b", "own"))) == (2, 2)


def test_one_problem_keeps_everything_as_it_was() -> None:
    scene = Scene()
    done = run(scene, "apply", "-f", "-", text=f"{document('good')}\n---\n{document('bad', 0)}")

    assert done.exit_code == 1
    assert "standard input:" in done.stderr
    assert "spec.capacity: 0 is not valid" in done.stderr
    assert done.stderr.endswith("Error: nothing was changed\n")
    assert capacity(scene, key("good")) is None


def test_details_of_known_handlers_are_checked_too() -> None:
    done = run(Scene(), "apply", "-f", "-", text=document("bad").replace("descriptions", "description"))

    assert done.exit_code == 1
    assert "description" in done.stderr


def test_other_kinds_are_left_out_and_named() -> None:
    scene = Scene()
    secret = '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "safe"}}'

    done = run(scene, "apply", "-f", "-", text=f"{secret}\n---\n{document('new')}")
    assert (done.exit_code, done.stdout) == (0, "configuration.akri.sh/new created\n")
    assert done.stderr == "Secret safe is left out: akri stores Configurations alone\n"
    alone = run(scene, "apply", "-f", "-", text=secret)
    assert (alone.exit_code, alone.stderr.splitlines()[-1]) == (1, "Error: there is no Configuration to be found")


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    assert run(Scene(), "apply", "-f", "/no/such.yaml").exit_code == 2
    assert run(Scene(), "apply").exit_code == 2


@pytest.mark.parametrize("words", [["echo"], ["akric", "echo"], ["configuration/echo"], ["Configuration.akri.sh", "echo"]])
def test_a_configuration_is_deleted_under_every_name(words: list[str]) -> None:
    scene = Scene()
    done = run(scene, "delete", *words)

    assert (done.exit_code, done.stdout) == (0, "configuration.akri.sh/echo deleted\n")
    assert capacity(scene, key("echo")) is None
    assert scene.store.instances == ()


def test_files_name_what_is_deleted() -> None:
    scene = Scene()

    assert run(scene, "delete", "-f", "-", text=document("echo")).stdout == "configuration.akri.sh/echo deleted\n"
    assert run(scene, "delete", "-f", "-", text=document("echo")).exit_code == 1
    assert run(scene, "delete", "-f", "-", "--ignore-not-found", text=document("echo")).exit_code == 0


def test_one_that_is_not_there_is_named_and_the_others_go() -> None:
    scene = Scene()
    done = run(scene, "delete", "nope", "echo")

    assert done.exit_code == 1
    assert done.stderr == "Error: there is no configuration nope in namespace default\n"
    assert done.stdout == "configuration.akri.sh/echo deleted\n"


@pytest.mark.parametrize("words", [[], ["akrii", "echo-8120fe"], ["pod/x"], ["echo", "-f", "-"], ["akric/"]])
def test_what_cannot_be_deleted_is_wrong_usage(words: list[str]) -> None:
    assert run(Scene(), "delete", *words).exit_code == 2
