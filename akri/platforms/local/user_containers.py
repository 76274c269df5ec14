"""What people are shown of a pod's containers: read from the records of their supervisors, whoever runs the node."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final, assert_never

from akri.platforms.local.container_records import Alive, Ended, Lost, NeverStarted, Started
from akri.platforms.local.host_processes import boot_id
from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_spec import Container, containers
from akri.platforms.local.supervised import Supervised
from akri.ports import ContainerState
from akri.scheduling.model import Phase

__all__ = ["container_states"]

_KILLED: Final = 137


def container_states(pod: Pod, brokers: Path | None) -> tuple[ContainerState, ...]:
    """Say how each container of a pod is. brokers: the state's folder with the records of pods; None where there are none."""
    return tuple(_state(one, pod, None if brokers is None else brokers / pod.metadata.uid) for one in containers(pod.spec))


def _state(container: Container, pod: Pod, record: Path | None) -> ContainerState:
    if record is None or not record.is_dir():
        return ContainerState(container.name, init=container.init, running=pod.phase is Phase.RUNNING and not container.init)
    child = Supervised(record / container.name)
    state = child.look()
    match state:
        case NeverStarted():
            return ContainerState(container.name, init=container.init)
        case Alive(started=start):
            if start is None:
                return ContainerState(container.name, init=container.init, reason="Starting")
            return ContainerState(container.name, init=container.init, running=True, started=_began(start), restarts=start.restarts)
        case Ended(code, started=start):
            return _ended(container, code, start, child.ended_at(), "Error" if code else "Completed")
        case Lost(started=start):
            return _ended(container, _KILLED, start, None, "Lost")
    assert_never(state)


def _ended(container: Container, code: int, start: Started | None, finished: float | None, reason: str) -> ContainerState:
    return ContainerState(
        container.name,
        init=container.init,
        started=0.0 if start is None else _began(start),
        finished=finished or 0.0,
        exit_code=code,
        restarts=0 if start is None else start.restarts,
        reason=reason,
    )


def _began(start: Started) -> float:
    """Seconds since the epoch; 0 for a start before the machine's last one."""
    with suppress(OSError, ValueError):
        if start.process.boot == boot_id():
            uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
            return time.time() - uptime + start.uptime
    return 0.0
