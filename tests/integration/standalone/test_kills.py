"""kill -9 of any program of a state folder: nothing goes that should be there, nothing runs twice, nothing is left behind.

Each broker holds a lock for its life and writes down its starts; see `programs`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from tests.integration.standalone.programs import State, akri, state

pytestmark = pytest.mark.timeout(300)


def running(it: State, count: int) -> None:
    it.until(lambda: len(it.brokers()) == count, f"{count} brokers run")


def starts(it: State) -> int:
    return sum(map(len, it.starts().values()))


def nothing_runs(it: State) -> None:
    result = akri("down", "--state", it.path)
    assert result.returncode == 0, result.stderr
    assert it.brokers() == []
    assert it.violations() == []


def test_e2_brokers_of_a_killed_machine_go_on_and_are_taken_up_by_the_next() -> None:
    with state() as it:
        up = it.start("up", "-f", it.configuration(devices=3), "--node", "gateway")
        running(it, 3)
        it.until(lambda: len(it.stored().usages) == 3)
        brokers, before, started = it.brokers(), it.stored(), it.starts()
        for _ in range(3):
            it.kill(up)
            assert it.brokers() == brokers
            up = it.start("up", "--node", "gateway")
            it.until(lambda: it.said().rstrip().endswith("3 brokers on this node"), "the next one knows them")
            time.sleep(2)
        after = it.stored()
        assert (it.brokers(), it.starts(), after.uids, after.usages) == (brokers, started, before.uids, before.usages)
        # They are the new one's: a broker that ends is started anew, in the same pod.
        os.kill(brokers[0], signal.SIGKILL)
        it.until(lambda: starts(it) == 4, "the broker is started again")
        running(it, 3)
        assert it.stored().pods.keys() == before.pods.keys()
        assert it.end(up) == 0
        nothing_runs(it)


def test_e2_a_broker_that_ended_while_no_program_was_there_is_started_once() -> None:
    with state() as it:
        up = it.start("up", "-f", it.configuration(), "--node", "gateway")
        running(it, 2)
        it.kill(up)
        os.kill(it.brokers()[0], signal.SIGKILL)
        it.until(lambda: len(it.brokers()) == 1)
        up = it.start("up", "--node", "gateway")
        it.until(lambda: starts(it) == 3, "the broker is started again")
        running(it, 2)
        time.sleep(2)
        assert (starts(it), len(it.stored().usages)) == (3, 2)
        nothing_runs(it)


def test_s3_a_node_whose_process_is_killed_is_not_ready_and_has_its_slots_when_it_is_back() -> None:
    with state() as it:
        it.start("up", "-f", it.configuration(devices=2, capacity=2), "--node", "gateway")
        running(it, 2)
        node = it.start("node", "--name", "line-2")
        # debugEcho's devices are shared, so that each node has a broker for each.
        running(it, 4)
        it.until(lambda: len(it.stored().usages) == 4)
        before, brokers = it.stored(), it.brokers()
        assert before.nodes == {"gateway": True, "line-2": True}
        it.kill(node)
        it.until(lambda: it.stored().nodes == {"gateway": True, "line-2": False}, "the node is not ready")
        time.sleep(2)
        assert (it.stored().usages, it.brokers()) == (before.usages, brokers)
        it.start("node", "--name", "line-2")
        it.until(lambda: it.stored().nodes == {"gateway": True, "line-2": True}, "the node is ready")
        time.sleep(2)
        after = it.stored()
        assert (after.usages, after.uids, after.pods, it.brokers()) == (before.usages, before.uids, before.pods, brokers)
        assert starts(it) == 4
        nothing_runs(it)


def test_e2_a_controller_that_is_killed_takes_nothing_from_other_nodes() -> None:
    with state() as it:
        up = it.start("up", "-f", it.configuration(devices=2, capacity=2), "--node", "gateway")
        running(it, 2)
        it.start("node", "--name", "line-2")
        running(it, 4)
        it.until(lambda: len(it.stored().usages) == 4)
        before, brokers = it.stored(), it.brokers()
        it.kill(up)
        time.sleep(2)
        assert it.brokers() == brokers
        it.start("up", "--node", "gateway")
        it.until(lambda: "known from before: 1 Configuration, 2 devices, 2 brokers on this node" in it.said())
        time.sleep(2)
        after = it.stored()
        assert (after.usages, after.uids, it.brokers(), starts(it)) == (before.usages, before.uids, brokers, 4)
        nothing_runs(it)


@pytest.mark.parametrize("seed", [1, 2])
def test_e2_programs_and_brokers_killed_at_random_moments(seed: int) -> None:
    """Every half a second somebody is killed, also in the middle of a start; whoever is missing is started again."""
    chance = random.Random(seed)
    with state() as it:
        wanted = {
            "up": ("up", "-f", str(it.configuration(devices=3, capacity=2)), "--node", "gateway"),
            "node": ("node", "--name", "line-2"),
        }
        programs: dict[str, subprocess.Popen[bytes]] = {"up": it.start(*wanted["up"])}
        running(it, 3)
        programs["node"] = it.start(*wanted["node"])
        running(it, 6)
        uids = it.stored().uids
        for _ in range(25):
            victim = chance.choice(["up", "node", "broker"])
            brokers = it.brokers()
            if victim == "broker" and brokers:
                os.kill(chance.choice(brokers), signal.SIGKILL)
            elif victim in programs:
                it.kill(programs[victim])
                programs[victim] = it.start(*wanted[victim])
            time.sleep(chance.random())
            assert it.violations() == []
        running(it, 6)
        it.until(lambda: len(it.stored().usages) == 6 and all(it.stored().nodes.values()))
        assert it.stored().uids == uids
        nothing_runs(it)
