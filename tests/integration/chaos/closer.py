"""A closer look at what did not come to rest, while it is still there: everything that is known of the pods and Instances concerned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from akri.platforms.local.objects import Pod
from akri.platforms.local.pod_records import has_record
from akri.platforms.local.supervised import Supervised
from tests.integration.chaos.settled import Scene

__all__ = ["closer_look", "concerned"]

_NAME: Final = re.compile(r"\b(?:pod|Instance) (?:[a-z0-9-]+/)?([a-z0-9][-a-z0-9.]*)")
_MOST_NAMES: Final = 6
_MOST_LINES: Final = 30


def concerned(problems: Iterable[str]) -> tuple[str, ...]:
    """Tell which pods and Instances sentences speak of: each name once, the first few."""
    return tuple(dict.fromkeys(name for problem in problems for name in _NAME.findall(problem)))[:_MOST_NAMES]


def closer_look(scene: Scene, names: Iterable[str], folder: Path, explain: Callable[[str], str]) -> Iterator[str]:
    """Give lines on each name. folder: the run's, with the state in `s` and what programs said beside it. explain: asks `akri explain`."""
    for name in names:
        yield f"-- {name}"
        for instance in scene.instances:
            if instance.name == name:
                yield f"Instance of device {instance.device_id} on {list(instance.nodes)}, slots {dict(instance.device_usage)}"
        for pod in scene.pods:
            if pod.metadata.key.name == name or (pod.instance is not None and pod.instance.name == name):
                yield f"pod {pod.metadata.key} ({pod.metadata.uid}) on {pod.node}: {_state(pod)}"
                yield from _record(folder / "s" / "brokers" / pod.metadata.uid)
        yield from explain(name).splitlines()
        yield from _said(folder, name)


def _state(pod: Pod) -> str:
    words = (pod.phase.value, "bound" if pod.bound else "not bound", "deleting" if pod.metadata.deleting else "", pod.reason, pod.message)
    return " ".join(word for word in words if word)


def _record(place: Path) -> Iterator[str]:
    if not place.is_dir():
        yield "no folder in brokers/"
        return
    yield f"its record in brokers/ {'is there' if has_record(place) else 'is not there, or cannot be read'}"
    for container in sorted(path for path in place.iterdir() if path.is_dir()):
        yield f"container {container.name}: {Supervised(container).look()}; {sorted(path.name for path in container.iterdir())}"


def _said(folder: Path, name: str) -> Iterator[str]:
    """Give the last lines that a program wrote about it."""
    for path in sorted(folder.glob("*.out")):
        lines = [line for line in path.read_text(errors="replace").splitlines() if name in line]
        yield from (f"{path.stem}: {line}" for line in lines[-_MOST_LINES:])
