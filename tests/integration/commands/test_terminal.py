"""Commands in a terminal and in a pipe: colours, widths, keys, signals and exit codes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pexpect
import pytest

from tests.guards.tree import ROOT
from tests.integration.commands.terminal import PROGRAM, in_terminal, lines_of, run_in_terminal, visible

GREEN = "\x1b[32m"
RED = "\x1b[31m"


def in_pipe(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=50
    )


def test_a_terminal_gets_colours_and_a_pipe_the_same_words_without() -> None:
    code, said = run_in_terminal("get", "brokers", columns=150)
    piped = in_pipe("get", "brokers")

    assert code == piped.returncode == 0
    assert f"{GREEN}Running" in said
    assert f"{RED}Error" in said
    assert "\x1b" not in piped.stdout
    assert visible(said) == piped.stdout


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_declined(environment: dict[str, str]) -> None:
    _, said = run_in_terminal("get", "brokers", environment=environment)

    assert "Running" in said
    assert "\x1b[" not in said


def test_columns_are_cut_to_the_width_of_the_terminal_but_no_name_is() -> None:
    _, said = run_in_terminal("get", "akrii", "-o", "wide", columns=95)
    lines = visible(said).splitlines()

    assert all(len(line) <= 95 for line in lines)
    assert lines[1].startswith("echo-8120fe ")
    assert "…" in lines[1]
    assert "akri.sh/echo=8120fe   foo0" in in_pipe("get", "akrii", "-o", "wide", COLUMNS="95").stdout


def test_what_is_described_is_shown_whole_on_a_narrow_terminal() -> None:
    _, said = run_in_terminal("describe", "echo-8120fe", columns=40)

    assert "the Configuration's resource, echo-0" in visible(said)


def test_errors_and_wrong_usage_in_a_terminal() -> None:
    assert run_in_terminal("get", "akrii", "nope") == (1, "Error: there is no instance nope in namespace default\n")
    code, said = run_in_terminal("get", "things")
    assert code == 2
    assert "Try 'akri get --help' for help." in said


def test_nothing_from_a_device_steers_the_terminal() -> None:
    for words in (["describe", "akric"], ["get", "reports", "-o", "wide"], ["get", "reports", "-o", "yaml"], ["top", "--once"]):
        _, said = run_in_terminal(*words, columns=400)
        assert f"it is {RED}" not in said
        assert "it is \\" in said


def test_top_draws_and_ends_with_q() -> None:
    with in_terminal([*PROGRAM, "top"], columns=130, rows=36) as child:
        child.expect("q quits")
        lines = lines_of(child.before or "")
        assert "\x1b[?1049h" in (child.before or "")
        child.send("q")
        child.expect(pexpect.EOF)
        child.close()

        assert child.exitstatus == 0
        assert (child.before or "").rstrip().endswith("\x1b[?1049l")
        assert any("2 devices · 2/4 slots held · 2/3 brokers well" in line for line in lines)
        assert any(line.startswith("echo-8120fe   foo0        node-a,node-b   ■■") for line in lines)


def test_top_moves_in_a_list_that_is_longer_than_the_terminal() -> None:
    with in_terminal([*PROGRAM, "top"], columns=130, rows=20) as child:
        child.expect("Devices 1 to 1 of 2")
        child.send("\x1b[B")
        child.expect("Devices 2 to 2 of 2")
        child.send("k")
        child.expect("Devices 1 to 1 of 2")


@pytest.mark.parametrize("words", [["top"], ["get", "akrii", "--watch"], ["logs", "node-a-echo-8120fe-pod", "-f"]])
def test_what_goes_on_ends_well_with_control_c(words: list[str], tmp_path: Path) -> None:
    write_log(tmp_path, "about echo-8120fe\n")
    with in_terminal([*PROGRAM, *words], environment={"SCENE_FOLDER": str(tmp_path)}) as child:
        child.expect("echo-8120fe")
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()

        assert (child.exitstatus, child.signalstatus) == (0, None)
        assert "Traceback" not in (child.before or "")


def write_log(folder: Path, text: str) -> None:
    (folder / "logs").mkdir()
    (folder / "logs" / "default_node-a-echo-8120fe-pod_main.log").write_text(text)


def test_top_gives_the_terminal_back_as_it_was() -> None:
    script = f"{' '.join(PROGRAM)} top; echo done; stty -a"
    with in_terminal(["sh", "-c", script]) as child:
        child.expect("q quits")
        child.send("q")
        child.expect("done")
        child.expect(pexpect.EOF)

        settings = (child.before or "").split()
        assert "icanon" in settings


def test_in_a_pipe_top_prints_one_picture() -> None:
    done = in_pipe("top")

    assert done.returncode == 0
    assert done.stdout.startswith(
        "2 Configurations (unwell: cameras), 2 devices, 2/4 slots held, 2/3 brokers well, 2 nodes (not ready: node-b)\n"
    )
    assert "\x1b" not in done.stdout


def test_a_log_shows_its_colours_on_a_terminal_and_nothing_else(tmp_path: Path) -> None:
    write_log(tmp_path, f"{RED}red\x1b[2J\n")
    words = ("logs", "node-a-echo-8120fe-pod")
    environment = {"SCENE_FOLDER": str(tmp_path)}

    assert run_in_terminal(*words, environment=environment) == (0, f"{RED}red\\x1b[2J\x1b[0m\n")
    assert in_pipe(*words, **environment).stdout == f"{RED}red\x1b[2J\n"


def test_the_group_lists_every_command_in_a_terminal() -> None:
    code, said = run_in_terminal("--help")

    assert code == 0
    for command in ("apply", "completion", "delete", "describe", "edit", "env", "get", "logs", "top"):
        assert f"\n  {command} " in said
