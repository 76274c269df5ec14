"""Brokers as real processes: what they get, how they end, and that nothing of them stays behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from akri.core.device import DeviceNode, Mount
from akri.core.edits import ContainerEdits
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.core.reports import Reason
from akri.scheduling.model import Phase
from tests.integration.processes.station import KEY, RESOURCE, alive, eventually, gone, shell, spec, station


async def test_a_pod_gets_its_own_environment_and_that_of_its_devices_and_nothing_else() -> None:
    edits = {"main": ContainerEdits({"CAMERA": "rtsp://a", "BOTH": "device"})}
    env: Json = [{"name": "OWN", "value": "1"}, {"name": "BOTH", "value": "container"}, {"name": "TWICE", "value": "$(OWN)$(OWN)"}]
    async with station(edits=edits) as place:
        await place.store.create_pod(KEY, spec(shell("env", env=env)))
        pod = await place.phase(Phase.SUCCEEDED, Phase.FAILED)
        assert pod.phase is Phase.SUCCEEDED
        seen = {line.removeprefix("main: ") for line in place.lines}
        assert {"CAMERA=rtsp://a", "BOTH=container", "OWN=1", "TWICE=11", f"PATH={os.environ['PATH']}"} <= seen
        assert {line.partition("=")[0] for line in seen} <= {
            "CAMERA",
            "BOTH",
            "OWN",
            "TWICE",
            "PATH",
            "AKRI_CONTAINER",
            "PWD",
            "SHLVL",
            "_",
            "OLDPWD",
        }
        assert place.ended == [pod.metadata.uid]


async def test_arguments_may_name_variables_of_the_device() -> None:
    container: JsonObject = {"name": "main", "command": ["echo"], "args": ["$(CAMERA)", "$$(CAMERA)", "$(NOT_THERE)"]}
    async with station(edits={"main": ContainerEdits({"CAMERA": "rtsp://a"})}) as place:
        await place.store.create_pod(KEY, spec(container))
        await place.phase(Phase.SUCCEEDED)
        assert place.lines == ["main: rtsp://a $(CAMERA) $(NOT_THERE)"]


async def test_init_containers_run_in_order_before_the_others_and_a_sidecar_beside_them(tmp_path: Path) -> None:
    mark = tmp_path / "marks"
    pod_spec = spec(
        shell(f"echo main >> {mark}; sleep 0.1"),
        initContainers=[
            shell(f"echo first >> {mark}", "first"),
            shell("while :; do sleep 0.05; done", "beside", restartPolicy="Always"),
            shell(f"echo second >> {mark}", "second"),
        ],
    )
    async with station() as place:
        await place.store.create_pod(KEY, pod_spec)
        assert (await place.phase(Phase.SUCCEEDED, Phase.FAILED)).phase is Phase.SUCCEEDED
        assert mark.read_text(encoding="utf-8").split() == ["first", "second", "main"]
        assert [(c.name, c.init, c.sidecar) for c in place.admitted[0].containers] == [
            ("first", True, False),
            ("beside", True, True),
            ("second", True, False),
            ("main", False, False),
        ]


async def test_a_failing_init_container_fails_the_pod_and_names_itself() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec(shell("echo never"), initContainers=[shell("exit 3", "prepare")]))
        pod = await place.phase(Phase.FAILED)
        assert pod.message == "init container prepare ended with exit code 3"
        assert place.lines == []


async def test_exit_codes_and_signals_are_told() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec(shell("exit 7", "one"), shell("kill -TERM $$$$", "two"), shell("true", "three")))
        pod = await place.phase(Phase.FAILED)
        assert pod.message == "container one ended with exit code 7; container two ended with exit code 143 (SIGTERM)"
        assert place.said(Reason.BROKER_FAILED) == [f"Error: {pod.message}"]


async def test_a_command_that_does_not_exist_is_named_with_its_place() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec(shell("true", "one"), {"name": "two", "command": ["no-such-broker"]}))
        pod = await place.phase(Phase.FAILED)
        assert pod.reason == "StartError"
        assert "spec.containers[1].command: 'no-such-broker'" in pod.message
        assert "no-such-broker" in place.said(Reason.BROKER_FAILED)[0]
        assert place.ended == [pod.metadata.uid]


async def test_a_container_without_a_command_or_with_a_missing_directory_fails_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AKRI_CONTAINER_RUNTIME", "none")
    async with station() as place:
        await place.store.create_pod(KEY, spec({"name": "main", "image": "nginx"}))
        assert "there is no podman and no containerd here to run an image" in (await place.phase(Phase.FAILED)).message
        bare = ObjectKey("default", "bare")
        await place.store.create_pod(bare, spec({"name": "main"}))
        pod = await place.until(lambda pod: pod is not None and pod.phase.terminal, bare)
        assert pod is not None
        assert "expected a command, or an image and podman or containerd to run it" in pod.message
        other = ObjectKey("default", "other")
        await place.store.create_pod(other, spec(shell("true", workingDir="/no/such/directory")))
        pod = await place.until(lambda pod: pod is not None and pod.phase.terminal, other)
        assert pod is not None
        assert "spec.containers[0].workingDir: '/no/such/directory'" in pod.message


async def test_a_rejected_pod_fails_as_on_kubernetes() -> None:
    async with station(rejection="slot cam-8120fe-0 is held by node-b") as place:
        await place.store.create_pod(KEY, spec(shell("true")))
        pod = await place.phase(Phase.FAILED)
        assert (pod.reason, pod.message) == ("UnexpectedAdmissionError", "Pod was rejected: slot cam-8120fe-0 is held by node-b")


async def test_what_is_not_honoured_is_said() -> None:
    nodes = (DeviceNode("/dev/camera", "/dev/video7"), DeviceNode("/dev/a", "/dev/a"))
    edits = {"main": ContainerEdits({}, (Mount("/inside", "/outside"), Mount("/same", "/same")), nodes)}
    async with station(edits=edits) as place:
        await place.store.create_pod(KEY, spec(shell("true", livenessProbe={}), hostNetwork=True, hostname="a"))
        await place.phase(Phase.SUCCEEDED)
        assert place.said(Reason.FIELD_IGNORED) == [
            "spec.containers[0].livenessProbe is not honoured on this platform",
            "spec.hostname is not honoured on this platform",
            "/outside cannot appear as /inside for container main: a process sees the paths of the host",
            "/dev/video7 cannot appear as /dev/camera for container main: a process sees the paths of the host",
        ]


async def test_deletion_asks_first_and_removes_the_pod_when_it_ended() -> None:
    async with station() as place:
        script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
        await place.store.create_pod(KEY, spec(shell(script)))
        await place.heard("main: up")
        assert await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        assert place.lines == ["main: up", "main: bye"]
        assert len(place.ended) == 1


async def test_what_ignores_sigterm_is_killed_after_the_grace_with_its_children() -> None:
    async with station() as place:
        script = "trap '' TERM; (trap '' TERM; sleep 1000) & echo $! $$$$; while :; do sleep 0.02; done"
        await place.store.create_pod(KEY, spec(shell(script), terminationGracePeriodSeconds=0.2))
        child, main = await place.process_ids()
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        assert not alive(main)
        await gone(child)


async def test_a_force_deleted_pod_is_gone_at_once_while_its_process_lives_on_a_little() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec(shell("trap 'sleep 0.1; exit 0' TERM; echo $$$$; while :; do sleep 0.02; done")))
        [pid] = await place.process_ids()
        await place.store.delete_pod(KEY, force=True)
        assert place.store.pod(KEY) is None
        assert alive(pid)
        await gone(pid)
        assert len(place.ended) == 1


async def test_a_pod_made_again_under_its_name_runs_beside_the_end_of_the_former() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec(shell("trap 'sleep 0.1; exit 0' TERM; echo one; while :; do sleep 0.02; done")))
        await place.heard("main: one")
        await place.store.delete_pod(KEY, force=True)
        await place.store.create_pod(KEY, spec(shell("echo two")))
        await place.phase(Phase.SUCCEEDED)
        assert place.lines == ["main: one", "main: two"]


async def test_a_pod_can_be_deleted_while_its_admission_hangs() -> None:
    async with station(held=asyncio.Event()) as place:
        await place.store.create_pod(KEY, spec(shell("echo never")))
        await eventually(lambda: bool(place.admitted))
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        assert (place.lines, len(place.ended)) == ([], 1)


async def test_a_pod_can_be_force_deleted_while_its_admission_hangs() -> None:
    async with station(held=asyncio.Event()) as place:
        await place.store.create_pod(KEY, spec(shell("echo never")))
        await eventually(lambda: bool(place.admitted))
        await place.store.delete_pod(KEY, force=True)
        await eventually(lambda: len(place.ended) == 1)
        assert place.lines == []


async def test_a_container_of_many_that_is_ended_is_told_with_the_pod() -> None:
    async with station() as place:
        await place.store.create_pod(KEY, spec(shell("exit 0", "quick"), shell("echo up; while :; do sleep 0.02; done", "slow")))
        await place.heard("slow: up")
        assert (await place.phase(Phase.RUNNING)).phase is Phase.RUNNING
        await place.store.delete_pod(KEY)
        await place.until(lambda pod: pod is None)
        assert len(place.ended) == 1


async def test_a_pod_stays_pending_until_the_node_has_what_it_asks_for() -> None:
    async with station(allocatable={}) as place:
        asks: Json = {"limits": {RESOURCE: "1"}}
        await place.store.create_pod(KEY, spec(shell("echo up", resources=asks)))
        free = ObjectKey("default", "free")
        await place.store.create_pod(free, spec(shell("echo other")))
        await place.until(lambda pod: pod is not None and pod.phase.terminal, free)
        waiting = place.store.pod(KEY)
        assert waiting is not None
        assert (waiting.phase, waiting.bound) == (Phase.PENDING, False)
        place.allocatable = {RESOURCE: 1}
        third = ObjectKey("default", "third")
        await place.store.create_pod(third, spec(shell("true")))
        await place.phase(Phase.SUCCEEDED)


async def test_output_goes_to_a_log_file_that_only_the_owner_reads(tmp_path: Path) -> None:
    async with station(tmp_path) as place:
        await place.store.create_pod(KEY, spec(shell("echo out; echo err >&2; printf end")))
        await place.phase(Phase.SUCCEEDED)
        await place.heard("main: end")
        log = tmp_path / "logs" / "default_broker_main.log"
        assert log.read_text(encoding="utf-8") == "out\nerr\nend"
        assert log.stat().st_mode & 0o777 == 0o600
