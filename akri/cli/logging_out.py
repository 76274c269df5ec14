"""What `akri logs` does: finds the pod that is meant, and prints its lines."""

from __future__ import annotations

import click
from attrs import frozen

from akri.cli.overview import present
from akri.cli.tables import Screen
from akri.cli.text import harmless, log_line
from akri.core.ids import ObjectKey
from akri.ports import PodDetails, UserPlatform

__all__ = ["Reading", "printed_log"]


@frozen
class Reading:
    """What to read: the name of a pod, a job or an Instance, and how much of it. container: "" for the first main one."""

    key: ObjectKey
    container: str = ""
    previous: bool = False
    tail: int | None = None
    follow: bool = False


async def printed_log(platform: UserPlatform, reading: Reading) -> None:
    """Print the lines. Raises ClickException where there is no such broker, or not one alone."""
    pod = await _pod(platform, reading.key)
    container = _container(pod, reading.container)
    screen = Screen.of()
    lines = platform.read_log(pod.metadata.key, container, previous=reading.previous, tail=reading.tail, follow=reading.follow)
    async for line in lines:
        if screen.width is None:
            click.echo(line, color=True)  # as it was written: whoever reads it may want the colours
        else:
            click.echo(log_line(line, colour=screen.colour))


async def _pod(platform: UserPlatform, key: ObjectKey) -> PodDetails:
    pod = await platform.read_pod(key)
    if pod is None:
        pod = next(reversed(await platform.read_job_pods(key)), None)
    if pod is None:
        served = [broker.key for broker in await present(platform.watch_broker_pods()) if broker.instance == key]
        if len(served) > 1:
            names = ", ".join(one.name for one in sorted(served))
            message = f"instance {key.name} has several brokers: name one of {names}"
            raise click.ClickException(harmless(message))
        pod = await platform.read_pod(served[0]) if served else None
    if pod is None:
        message = harmless(f"there is no broker {key.name} in namespace {key.namespace}")
        raise click.ClickException(message)
    return pod


def _container(pod: PodDetails, wanted: str) -> str:
    names = [one.name for one in pod.containers]
    if wanted:
        if wanted not in names:
            message = harmless(f"pod {pod.metadata.key.name} has no container {wanted}, but {', '.join(names)}")
            raise click.ClickException(message)
        return wanted
    main = [one.name for one in pod.containers if not one.init]
    if len(main) > 1:
        click.echo(f"container {harmless(main[0])} of {harmless(', '.join(names))}; -c names another one", err=True)
    return next(iter(main or names), "")
