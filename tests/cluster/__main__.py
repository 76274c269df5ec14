"""What `./dev cluster` and `./dev cluster-down` run: `python -m tests.cluster up | down | build`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import cast

from tests.cluster import build, needs, states
from tests.cluster.cluster import Cluster
from tests.cluster.images import BUSYBOX
from tests.cluster.network import CommandError
from tests.cluster.processes import ProcessError

_COMPLETE = "program"  # written into the state folder last: the program that the cluster was started with


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "build"])
    command = parser.parse_args().command
    try:
        if command == "build":
            build.program(_say)
        elif command == "down":
            _down()
        else:
            _up()
    except (build.BuildError, ProcessError, CommandError, OSError) as error:
        _say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _up() -> None:
    program = build.program(_say)
    if lacking := needs.lacks_for_cluster(program):
        raise ProcessError(lacking)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end that cleans up, like Ctrl-C
    with states.exclusive("up.lock"):
        asyncio.run(_start(program, states.up_folder()))


async def _start(program: Path, state: Path) -> None:
    cluster = Cluster(program, state)
    complete = state / _COMPLETE
    if _read(complete) == str(program) and await cluster.runs():
        _say("the cluster runs already")
    else:
        await states.clean_stale()
        await states.clean(state)
        _say("starting etcd, API server, scheduler, controller-manager and two nodes")
        try:
            await cluster.start()
        except BaseException as error:
            said = _cause(error)
            await states.clean(state)
            raise said from error
        complete.write_text(str(program), encoding="utf-8")
    _tell(cluster, state)


def _tell(cluster: Cluster, state: Path) -> None:
    names = " and ".join(node.name for node in cluster.nodes)
    sys.stdout.write(
        f"""\
{names} are Ready, the API server is {cluster.api_server.url}

  export KUBECONFIG={cluster.api_server.kubeconfig}

kubectl, where there is one, then speaks to it; the nodes have the image {BUSYBOX} (imagePullPolicy: Never).
Logs: {state}/logs, {cluster.api_server.audit_log}. Tests on it: ./dev test --kubeconfig $KUBECONFIG tests/integration/cluster
It runs until ./dev cluster-down.
"""
    )


def _down() -> None:
    with states.exclusive("up.lock"):
        existed = states.up_folder().is_dir()
        asyncio.run(states.clean(states.up_folder()))
        left = asyncio.run(states.clean_stale())
    _say("the cluster is gone" if existed else "there was no cluster")
    if left:
        _say(f"removed what {len(left)} {'test run' if len(left) == 1 else 'test runs'} had left")


def _cause(error: BaseException) -> BaseException:
    """The first error in a group of errors of tasks."""
    if isinstance(error, BaseExceptionGroup):
        return _cause(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _say(line: str) -> None:
    sys.stderr.write(f"cluster: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
