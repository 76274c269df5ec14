"""`akri logs`: which pod is meant, and what is printed of what it wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from akri.cli.group import cli
from akri.core.metadata import JsonObject, OwnerReference
from tests.unit.cli.scene import ECHO, Scene, key

POD = "node-a-echo-8120fe-pod"


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path)
    (tmp_path / "logs").mkdir()
    write(tmp_path, POD, "one\ntwo\x1b[2J\nthree\n")
    return made


def write(folder: Path, pod: str, text: str, namespace: str = "default") -> None:
    (folder / "logs" / f"{namespace}_{pod}_main.log").write_text(text)


def run(scene: Scene, *words: str) -> Result:
    return CliRunner().invoke(cli, ["logs", *words], obj=scene.opener)


def test_all_or_the_last_lines(scene: Scene) -> None:
    assert run(scene, POD).stdout == "one\ntwo\x1b[2J\nthree\n"
    assert run(scene, f"pod/{POD}", "--tail", "1", "-c", "main").stdout == "three\n"
    assert run(scene, POD, "--tail", "0").stdout == ""


def test_a_broker_that_wrote_nothing(scene: Scene) -> None:
    done = run(scene, "node-b-echo-8120fe-pod")

    assert (done.exit_code, done.output) == (0, "")


def test_following_ends_with_the_pod(scene: Scene, tmp_path: Path) -> None:
    write(tmp_path, "node-b-echo-8120fe-pod", "last words\n")

    assert run(scene, "node-b-echo-8120fe-pod", "-f").stdout == "last words\n"


def test_an_instance_with_one_broker_stands_for_it(scene: Scene) -> None:
    done = run(scene, ECHO[0])

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"Error: instance {ECHO[0]} has several brokers: name one of {POD}, node-b-echo-8120fe-pod\n"


def test_the_last_pod_of_a_job(scene: Scene, tmp_path: Path) -> None:
    job = scene.store.jobs[0].metadata
    owner = OwnerReference("batch/v1", "Job", job.key.name, job.uid, controller=True)
    spec: JsonObject = {"initContainers": [{"name": "first"}], "containers": [{"name": "main"}, {"name": "side"}]}

    async def make() -> None:
        for number in range(2):
            await scene.store.create_pod(key(f"{job.key.name}-{number}", "site"), spec, owner=owner)

    asyncio.run(make())
    write(tmp_path, f"{job.key.name}-1", "second try\n", "site")
    done = run(scene, job.key.name, "-n", "site")
    assert done.stdout == "second try\n"
    assert done.stderr == "container main of first, main, side; -c names another one\n"
    assert run(scene, job.key.name, "-n", "site", "-c", "first").stderr == ""


def test_what_is_not_there_is_named(scene: Scene) -> None:
    assert run(scene, "nope").stderr == "Error: there is no broker nope in namespace default\n"
    assert run(scene, POD, "-c", "nope").stderr == f"Error: pod {POD} has no container nope, but main\n"
    previous = run(scene, POD, "--previous")
    assert previous.exit_code == 1
    assert "nothing is kept of what a pod of this name wrote before" in previous.stderr
    assert run(scene, POD, "--previous", "-f").exit_code == 2
    assert run(scene, POD, "--tail", "-1").exit_code == 2
