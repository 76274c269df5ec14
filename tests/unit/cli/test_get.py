"""`akri get` as people and scripts use it."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from akri.cli.getting import Asked, watched
from akri.cli.group import cli
from akri.cli.kinds import chosen
from akri.core.codec import read_configuration
from akri.core.ids import ObjectKey
from tests.unit.cli.scene import Scene, configuration_document


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def run(scene: Scene, *words: str) -> Result:
    return CliRunner().invoke(cli, ["get", *words], obj=scene.opener)


@pytest.mark.parametrize("kind", ["akric", "configurations", "Configuration", "configurations.akri.sh"])
def test_columns_under_every_name_of_a_kind(scene: Scene, kind: str) -> None:
    done = run(scene, kind)

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "NAME   HANDLER     CAPACITY   INSTANCES   NODES   BROKERS   STATUS   AGE",
        "echo   debugEcho   2          2           2       1/2       Ready    120m",
    ]


def test_all_namespaces_are_a_column(scene: Scene) -> None:
    lines = run(scene, "akric", "-A").stdout.splitlines()

    assert [line.split()[:2] for line in lines] == [["NAMESPACE", "NAME"], ["default", "echo"], ["site", "cameras"]]
    assert "HandlerMissing" in lines[2]


def test_several_kinds_are_several_tables(scene: Scene) -> None:
    tables = run(scene, "akrii,nodes").stdout.split("\n\n")

    assert [table.splitlines()[1].split()[0] for table in tables] == ["instance/echo-8120fe", "node/node-a"]


def test_brokers_are_pods_and_jobs(scene: Scene) -> None:
    rows = [line.split() for line in run(scene, "brokers", "-A").stdout.splitlines()[1:]]

    assert [(row[1], row[2], row[5], row[6]) for row in rows] == [
        ("node-a-echo-8120fe-pod", "Pod", "Running", "0"),
        ("node-b-echo-8120fe-pod", "Pod", "Error", "3"),
        ("cameras-ffffff-1-job", "Job", "Active", "0"),
    ]


def test_wide_says_more(scene: Scene) -> None:
    assert run(scene, "akrii", "-o", "wide").stdout.splitlines()[1].split()[-2:] == ["akri.sh/echo=8120fe", "foo0"]
    assert (
        run(scene, "akric", "-n", "site", "-o", "wide").stdout.splitlines()[1].endswith("pod      1            no node has a handler onvif")
    )


def test_control_characters_of_handlers_do_not_reach_the_terminal(scene: Scene) -> None:
    done = run(scene, "reports", "-o", "wide")

    assert "it is \\x1b[31mred\\x1b[0m" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x1b" not in run(scene, "reports", "-o", "json").stdout


def test_one_by_name_is_a_document_and_several_are_a_list(scene: Scene) -> None:
    one = json.loads(run(scene, "instance", "echo-8120fe", "-o", "json").stdout)
    several = json.loads(run(scene, "instances", "-o", "json").stdout)

    assert (one["kind"], one["metadata"]["name"]) == ("Instance", "echo-8120fe")
    assert (several["kind"], [item["metadata"]["name"] for item in several["items"]]) == ("List", ["echo-8120fe", "echo-a19705"])
    assert json.loads(run(scene, "instances", "-n", "none", "-o", "json").stdout) == {"apiVersion": "v1", "kind": "List", "items": []}


def test_yaml_says_the_same_as_json(scene: Scene) -> None:
    as_yaml, as_json = (run(scene, "all", "-A", "-o", form).stdout for form in ("yaml", "json"))

    assert YAML(typ="safe", pure=True).load(as_yaml) == json.loads(as_json)  # pyright: ignore[reportUnknownMemberType]


def test_a_configuration_comes_with_its_status(scene: Scene) -> None:
    document = json.loads(run(scene, "akric/echo", "-o", "json").stdout)

    assert document["spec"] == configuration_document("echo")["spec"]
    assert document["status"]["conditions"][0]["type"] == "Accepted"


def test_names_are_those_of_kubectl(scene: Scene) -> None:
    assert run(scene, "all", "-A", "-o", "name").stdout.splitlines() == [
        "configuration.akri.sh/echo",
        "configuration.akri.sh/cameras",
        "instance.akri.sh/echo-8120fe",
        "instance.akri.sh/echo-a19705",
        "pod/node-a-echo-8120fe-pod",
        "pod/node-b-echo-8120fe-pod",
        "job.batch/cameras-ffffff-1-job",
        "discoveryreport.akri.sh/echo.node-a",
        "discoveryreport.akri.sh/echo.node-b",
        "node/node-a",
        "node/node-b",
    ]


def test_what_is_not_there_is_named_and_the_rest_is_printed(scene: Scene) -> None:
    done = run(scene, "akrii", "echo-8120fe", "nope")

    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].startswith("echo-8120fe ")
    assert done.stderr == "Error: there is no instance nope in namespace default\n"


def test_nothing_at_all_is_said_beside_the_output(scene: Scene) -> None:
    done = run(scene, "akrii", "-n", "empty")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "There are no instances in namespace empty. There are 2 in other namespaces: add -A to see them.\n"


@pytest.mark.parametrize("words", [["things"], ["akric,things"], ["akric/"], ["akric,akrii", "--watch"], []])
def test_wrong_usage_has_an_exit_code_of_its_own(scene: Scene, words: list[str]) -> None:
    assert run(scene, *words).exit_code == 2


async def followed(scene: Scene, asked: Asked, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Follow until three lines more came than at first: one is applied, changed and deleted."""
    lines: list[str] = []

    async def until(count: int) -> None:
        async with asyncio.timeout(30):
            while len(lines) < count:
                await asyncio.sleep(0.01)
                lines.extend(capsys.readouterr().out.splitlines())

    following = asyncio.ensure_future(watched(scene.user, asked))
    await until(1 if asked.output == "json" else 2)
    await scene.user.apply(read_configuration(configuration_document("new")))
    await until(len(lines) + 1)
    await scene.user.apply(read_configuration(configuration_document("new", capacity=7)))
    await until(len(lines) + 1)
    await scene.user.delete(ObjectKey("default", "new"))
    await until(len(lines) + 1)
    following.cancel()
    await asyncio.wait({following})
    return lines


async def test_watching_prints_what_is_there_and_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    scene = await asyncio.to_thread(Scene)
    lines = await followed(scene, Asked(chosen(("akric",)), "default", "table"), capsys)

    assert [line.split()[:2] for line in lines] == [["NAME", "HANDLER"], ["+", "echo"], ["+", "new"], ["~", "new"], ["-", "new"]]


async def test_watching_as_json_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    scene = await asyncio.to_thread(Scene)
    lines = await followed(scene, Asked(chosen(("akric",)), "default", "json"), capsys)

    assert [(event["type"], event["object"]["spec"]["capacity"]) for event in map(json.loads, lines)] == [
        ("ADDED", 2),
        ("ADDED", 2),
        ("MODIFIED", 7),
        ("DELETED", 7),
    ]


def test_watching_ends_with_its_time(scene: Scene) -> None:
    assert run(scene, "akrii", "--watch", "--for", "0.1").exit_code == 0
