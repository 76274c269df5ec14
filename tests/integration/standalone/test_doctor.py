"""`akri doctor` over a state folder on which everything runs, or nothing."""

from __future__ import annotations

import json

import pytest

from tests.integration.standalone.programs import akri, state

pytestmark = pytest.mark.timeout(300)


def test_a_machine_that_runs_is_well_and_one_that_was_killed_has_brokers_without_a_program() -> None:
    with state() as it:
        up = it.start("up", "-f", it.configuration(), "--node", "gateway")
        it.until(lambda: len(it.brokers()) == 2, "two brokers run")
        result = akri("doctor", "--state", it.path)
        assert (result.returncode, result.stderr) == (0, "")
        for line in (
            f"programs      akri up (process {up.pid}) runs, node gateway",
            "sockets       device manager of node gateway answers",
            "sockets       registration of handlers of node gateway answers",
            "brokers       2 containers running",
        ):
            assert f"ok       {line}" in result.stdout
        it.kill(up)
        result = akri("doctor", "--state", it.path, "-o", "json", "--strict")
        assert result.returncode == 1
        (brokers,) = [one for one in json.loads(result.stdout) if one["subject"] == "brokers"]
        assert (brokers["level"], brokers["message"]) == ("warning", "2 containers run without a program")
        assert brokers["advice"] == "'akri up' takes them up, 'akri down' ends them"


def test_help_says_what_is_examined_and_the_exit_codes() -> None:
    result = akri("doctor", "--help")
    assert result.returncode == 0
    assert "akri doctor --state /srv/akri" in result.stdout
    assert "Exit codes: 0 there is no problem" in result.stdout
