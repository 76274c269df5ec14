"""Brokers outlive the program that started them: the next one adopts what runs and learns what ended, and nothing runs twice."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from attrs import evolve

from akri.clock import SystemClock
from akri.core.edits import ContainerEdits
from akri.core.ids import NodeName, ObjectKey
from akri.core.reports import Reason
from akri.platforms.local.folder import StateFolder
from akri.platforms.local.host_processes import boot_id
from akri.platforms.local.locks import Lock
from akri.platforms.local.node_runner import NodeRunner
from akri.platforms.local.stopping import running_containers, stop_all
from akri.scheduling.model import Phase
from tests.integration.processes.station import KEY, NODE, alive, eventually, gone, marked, new_station, running, shell, spec

SLEEPER = "echo $$$$; while :; do sleep 0.05; done"


async def test_a_broker_outlives_its_runner_and_is_adopted_with_all_that_follows(tmp_path: Path) -> None:
    place = await new_station()
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell("trap 'echo bye; exit 3' TERM; " + SLEEPER)))
        [pid] = await place.process_ids()
        await place.phase(Phase.RUNNING)
    assert alive(pid)
    assert len(running_containers(tmp_path)) == 1
    async with running(place, tmp_path) as runner:
        assert [pod.key for pod in runner.adopted()] == [KEY]
        await asyncio.sleep(0.3)
        assert (len(place.admitted), place.ended) == (1, [])
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        assert place.lines == [f"main: {pid}", "main: bye"]
        assert not alive(pid)
        assert len(place.ended) == 1
        await eventually(lambda: list((tmp_path / "brokers").iterdir()) == [])


async def test_an_exit_code_is_learned_though_nobody_was_there(tmp_path: Path) -> None:
    place = await new_station()
    mark = tmp_path / "go"
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell(f"echo $$$$; while [ ! -e {mark} ]; do sleep 0.02; done; exit 7")))
        [pid] = await place.process_ids()
        await place.phase(Phase.RUNNING)
    mark.touch()
    await gone(pid)
    await eventually(lambda: not running_containers(tmp_path))
    async with running(place, tmp_path):
        pod = await place.phase(Phase.FAILED)
        assert pod.message == "container main ended with exit code 7"
        assert len(place.admitted) == len(place.ended) == 1


async def test_a_pod_that_was_deleted_meanwhile_is_ended(tmp_path: Path) -> None:
    place = await new_station()
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell(SLEEPER)))
        [pid] = await place.process_ids()
        await place.phase(Phase.RUNNING)
    await place.store.delete_pod(KEY)
    assert alive(pid)
    async with running(place, tmp_path):
        await place.until(lambda pod: pod is None)
        await gone(pid)
        assert len(place.ended) == 1


async def test_a_pod_that_the_store_has_forgotten_is_ended(tmp_path: Path) -> None:
    place = await new_station()
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell(SLEEPER)))
        [pid] = await place.process_ids()
        await place.phase(Phase.RUNNING)
    await place.store.delete_pod(KEY, force=True)
    async with running(place, tmp_path) as runner:
        assert len(runner.adopted()) == 1
        await gone(pid)
        await eventually(lambda: len(place.ended) == 1)
        await eventually(lambda: runner.adopted() == ())


async def test_a_broker_that_fails_is_started_again_with_the_same_devices_and_by_the_next_program_as_well(tmp_path: Path) -> None:
    place = await new_station(edits={"main": ContainerEdits({"CAMERA": "rtsp://a"})})
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell("echo $$$$ $CAMERA; exec sleep 1000"), restartPolicy="Always"))
        await eventually(lambda: len(place.lines) == 1)
        os.kill(int(place.lines[0].split()[1]), signal.SIGKILL)
        await eventually(lambda: len(place.lines) == 2)
        pid = int(place.lines[1].split()[1])
    os.kill(pid, signal.SIGKILL)
    async with running(place, tmp_path):
        pod = await place.until(lambda pod: pod is not None and pod.reason == "CrashLoopBackOff")
        assert pod is not None
        assert pod.phase is Phase.RUNNING
        assert pod.message.startswith("container main ended with exit code 137 (SIGKILL); it starts again in ")
    assert {line.split()[2] for line in place.lines} == {"rtsp://a"}
    assert len(place.admitted) == 1
    await stop_all(tmp_path, 0)


async def test_one_call_ends_all_brokers_of_a_folder_and_all_that_they_started(tmp_path: Path) -> None:
    place = await new_station()
    script = "trap '' TERM; setsid sleep 1000 & (setsid sleep 1000 &); echo $! $$$$; while :; do sleep 0.02; done"
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell(script)))
        await place.store.create_pod(ObjectKey("default", "other"), spec(shell("exec sleep 1000", "quiet")))
        pids = await place.process_ids()
        await eventually(lambda: len(running_containers(tmp_path)) == 2)
    assert await stop_all(tmp_path, 0.2) == 2
    assert not [pid for pid in pids if alive(pid)]
    assert await stop_all(tmp_path, 0.2) == 0
    assert marked(tmp_path) == []


@pytest.mark.parametrize("jump", [86_400, -86_400])
async def test_a_clock_that_jumped_lengthens_no_wait(tmp_path: Path, jump: float) -> None:
    place = await new_station()
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell("exit 1"), restartPolicy="Always"))
        pod = await place.until(lambda pod: pod is not None and pod.message.endswith("in 10 s"))
        assert pod is not None
    [ended] = (tmp_path / "brokers").glob("*/main/ended")
    os.utime(ended, (ended.stat().st_atime, ended.stat().st_mtime + jump))
    await place.store.change_pod(pod, lambda pod: evolve(pod, message=""))
    async with running(place, tmp_path):
        # Back: counted from now. Forward: the next start is due, and fails as well.
        wait = "in 10 s" if jump > 0 else "in 20 s"
        pod = await place.until(lambda pod: pod is not None and pod.message.endswith(wait))
        assert pod is not None
    await stop_all(tmp_path, 0)


async def test_init_containers_run_again_after_the_machine_was_restarted_and_a_broker_that_was_lost_then_starts(tmp_path: Path) -> None:
    place = await new_station()
    pod_spec = spec(shell("echo up; exec sleep 1000"), initContainers=[shell("echo prepared", "first")], restartPolicy="Always")
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, pod_spec)
        await place.phase(Phase.RUNNING)
        await place.heard("main: up")
    await stop_all(tmp_path, 0)
    forget_boot(tmp_path / "brokers")
    async with running(place, tmp_path):
        await eventually(lambda: place.lines == ["first: prepared", "main: up"] * 2)
        [failure] = place.said(Reason.BROKER_BACK_OFF)
        assert failure == "container main was lost: the machine was restarted; it starts again at once"
    assert len(place.admitted) == 1
    await stop_all(tmp_path, 0)


def forget_boot(brokers: Path) -> None:
    """Make records look as if the machine had gone down meanwhile."""
    for started in brokers.glob("*/*/started"):
        started.write_text(started.read_text(encoding="utf-8").replace(boot_id(), "another-boot"), encoding="utf-8")
    for ended in brokers.glob("*/main/ended"):
        ended.write_text("-\n", encoding="utf-8")


async def test_two_containers_of_one_pod_have_records_of_their_own_and_a_record_that_is_damaged_ends_its_pod(tmp_path: Path) -> None:
    place = await new_station()
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell(SLEEPER), shell("exec sleep 1000", "second")))
        pid, *_ = await place.process_ids()
        await place.phase(Phase.RUNNING)
    [record] = (tmp_path / "brokers").glob("*/pod.json")
    record.write_text("{", encoding="utf-8")
    async with running(place, tmp_path) as runner:
        assert runner.adopted() == ()
        pod = await place.phase(Phase.FAILED)
        assert (pod.reason, pod.message) == ("RecordLost", "the record of its processes is lost, and they were ended")
        await gone(pid)
    assert marked(tmp_path) == []


async def test_what_runs_for_a_node_that_nobody_runs_is_ended_by_another_once_it_is_forgotten(tmp_path: Path) -> None:
    place = await new_station()
    async with running(place, tmp_path):
        await place.store.create_pod(KEY, spec(shell(SLEEPER)))
        [pid] = await place.process_ids()
        await place.phase(Phase.RUNNING)
    other = NodeRunner(place.store, NodeName("node-b"), clock=Hasty(), folder=tmp_path / "brokers", admit=place.admit)
    task = asyncio.create_task(other.run())
    await asyncio.sleep(0.5)
    assert alive(pid)
    with Lock.take(StateFolder.at(tmp_path).node(NODE).lock):
        await place.store.remove_node(NODE)
        await asyncio.sleep(0.5)
        assert alive(pid)
    await gone(pid)
    await eventually(lambda: list((tmp_path / "brokers").iterdir()) == [])
    task.cancel()
    await asyncio.wait({task})


class Hasty(SystemClock):
    """Waits for a hundredth of what it is asked to."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await super().sleep(seconds / 100)
