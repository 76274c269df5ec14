"""`akri env`: what a broker gets, and who sets it; never a secret."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

from akri.cli.environment import environment
from akri.cli.group import cli
from akri.core.configuration import Configuration, JobBroker, NoBroker
from tests.unit.cli.scene import ECHO, Scene, key


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def run(scene: Scene, *words: str) -> Result:
    return CliRunner().invoke(cli, ["env", *words], obj=scene.opener)


def test_each_variable_with_who_sets_it(scene: Scene) -> None:
    done = run(scene, ECHO[0])

    assert done.exit_code == 0
    assert [line.split(maxsplit=1)[0] for line in done.stdout.splitlines()] == [
        "NAME",
        "COLOUR",
        "COLOUR_8120FE",
        "DEBUG_ECHO_DESCRIPTION",
        "DEBUG_ECHO_DESCRIPTION_8120FE",
        "LEVEL",
        "PASSWORD",
    ]
    assert "COLOUR_8120FE                   green                          Configuration echo, brokerProperties" in done.stdout
    assert "DEBUG_ECHO_DESCRIPTION          foo0                           the device, through debugEcho" in done.stdout
    assert "COLOUR                          red                            container main of the broker" in done.stdout
    assert "(from Secret safe, key word)" in done.stdout


def test_a_shell_reads_it(scene: Scene) -> None:
    done = run(scene, ECHO[0], "-o", "env")
    read = subprocess.run(
        ["sh", "-c", f"{done.stdout}\necho $DEBUG_ECHO_DESCRIPTION_8120FE $PASSWORD"], capture_output=True, text=True, check=True
    )

    assert read.stdout == "foo0\n"


def test_as_json(scene: Scene) -> None:
    variables = {one["name"]: one for one in json.loads(run(scene, ECHO[0], "-o", "json").stdout)["variables"]}

    assert variables["LEVEL"] == {"name": "LEVEL", "value": "info", "setBy": "container main of the broker", "from": None}
    assert (variables["PASSWORD"]["value"], variables["PASSWORD"]["from"]) == (None, "Secret safe, key word")


def test_what_is_not_there_is_named(scene: Scene) -> None:
    assert run(scene, "nope").stderr == "Error: there is no instance nope in namespace default\n"
    assert run(scene, ECHO[0], "-c", "side").stderr == "Error: the broker has no container side, but main\n"
    assert run(scene, f"instance/{ECHO[0]}", "-c", "main").exit_code == 0


def test_whoever_sets_it_is_named_as_far_as_it_is_known(scene: Scene) -> None:
    instance = scene.store.instance(key(ECHO[0]))
    stored = scene.store.configuration(key("echo"))
    assert instance is not None
    assert isinstance(stored, Configuration)

    alone = environment(instance, None)
    assert {one.by for one in alone} == {"the device, or its Configuration"}
    assert [one.name for one in environment(instance, evolve(stored, broker=NoBroker()))] == [one.name for one in alone]
    job = JobBroker(
        {"template": {"spec": {"containers": [{"name": "j", "env": [{"name": "NODE", "valueFrom": {"fieldRef": {}}}, {"name": ""}]}]}}}
    )
    node = environment(instance, evolve(stored, broker=job))[-1]
    assert (node.name, node.value, node.by, node.place) == ("NODE", None, "container j of the broker", "fieldRef")


def test_what_no_shell_can_set_is_a_comment(scene: Scene) -> None:
    instance = scene.store.instance(key(ECHO[0]))
    assert instance is not None
    other = Scene()

    async def put() -> None:
        await other.store.put_instance(evolve(instance, broker_properties={"odd-name": "x", "TWO": "a\nb'c"}))

    asyncio.run(put())
    lines = run(other, ECHO[0], "-o", "env").stdout
    assert "# odd-name cannot be set by a shell\n" in lines
    assert subprocess.run(["sh", "-c", f'{lines}\nprintf %s "$TWO"'], capture_output=True, text=True, check=True).stdout == "a\nb'c"
