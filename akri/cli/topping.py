"""What `akri top` does: prints one picture as plain columns, or draws it on the terminal again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from akri.cli.cells import Style
from akri.cli.dashboard import Frame, Panel, frame, narrowed
from akri.cli.following import Follower
from akri.cli.overview import Overview, look
from akri.cli.tables import Screen, Table
from akri.ports import UserPlatform

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

__all__ = ["Viewer", "shown_live", "shown_once"]

_MOVES: Final = {b"\x1b[A": -1, b"\x1b[B": 1, b"k": -1, b"j": 1, b"\x1b[5~": -10, b"\x1b[6~": 10}
_CALM: Final = 0.25
_FRAME_LINES: Final = 3
_PANEL_LINES: Final = 3


async def shown_once(platform: UserPlatform, namespace: str) -> None:
    """Print one picture, whole."""
    drawn = frame(narrowed(await look(platform), namespace), time.time(), gauge=False)
    screen = Screen.of()
    lines = [", ".join(screen.paint(word.text, word.style) for word in drawn.summary)]
    for panel in drawn.panels:
        lines += ["", f"{screen.paint(f'{panel.title}:', Style.NAME)}{'' if panel.rows else ' none'}"]
        lines += [f"  {line}" for line in (Table(panel.header, Screen(None, screen.colour)).lines(panel.rows) if panel.rows else ())]
    click.echo("\n".join(lines))


async def shown_live(platform: UserPlatform, namespace: str) -> None:
    """Draw pictures until q is pressed or this is cancelled."""
    from rich.console import Console  # noqa: PLC0415 - a pipe does not need it
    from rich.live import Live  # noqa: PLC0415

    over = asyncio.Event()
    console = Console(no_color=not Screen.of().colour)
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        viewer = Viewer(live, namespace, over.set)
        with _keys(viewer.pressed):
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, viewer.draw)
            following = asyncio.ensure_future(Follower(platform, calm=_CALM).run(viewer.show, 1.0))
            ending = asyncio.ensure_future(over.wait())
            try:
                await asyncio.wait({following, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
                for task in (following, ending):
                    task.cancel()
                await asyncio.wait({following, ending})
    if not following.cancelled():
        following.result()


class Viewer:
    """Draws on a terminal, and moves in the list of devices."""

    def __init__(self, live: Live, namespace: str, end: Callable[[], None]) -> None:
        """Nothing is drawn before `show`."""
        self._live = live
        self._namespace = namespace
        self._end = end
        self._overview = Overview()
        self._from = 0
        self._colour = Screen.of().colour

    def show(self, overview: Overview) -> None:
        """Draw something new."""
        self._overview = narrowed(overview, self._namespace)
        self.draw()

    def pressed(self, key: bytes) -> None:
        """Do what a key asks for."""
        if key in {b"q", b"Q", b"\x03"}:
            self._end()
        elif key in _MOVES:
            self._from = min(max(self._from + _MOVES[key], 0), max(len(self._overview.instances) - 1, 0))
            self.draw()

    def draw(self) -> None:
        """Draw what is known, as large as the terminal is now."""
        drawn = frame(self._overview, time.time(), gauge=True)
        size = self._live.console.size
        self._live.update(_picture(drawn, Screen(size.width, colour=self._colour), size.height, self._from), refresh=True)


def _picture(drawn: Frame, screen: Screen, height: int, first: int) -> Group:
    """Make what rich draws: each panel gets what it needs, devices the most, as far as there is room."""
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    room = max(height - _FRAME_LINES - _PANEL_LINES * len(drawn.panels), 4)
    few = max(room // 6, 1)
    rows = {
        drawn.handlers.title: min(len(drawn.handlers.rows), max(few, 2)),
        drawn.brokers.title: min(len(drawn.brokers.rows), max(room // 3, 1)),
        drawn.events.title: min(len(drawn.events.rows), few),
    }
    rows[drawn.devices.title] = max(room - sum(rows.values()), 1)
    lines = [screen.paint("akri  ", Style.NAME) + " · ".join(screen.paint(word.text, word.style) for word in drawn.summary), ""]
    for panel in drawn.panels:
        lines += [*_panel(panel, screen, rows[panel.title], first if panel is drawn.devices else 0), ""]
    lines.append(screen.paint("q quits", Style.QUIET))
    return Group(*(Text.from_ansi(line, no_wrap=True, overflow="ellipsis") for line in lines))


def _panel(panel: Panel, screen: Screen, rows: int, first: int) -> Iterator[str]:
    first = min(first, max(len(panel.rows) - rows, 0))
    shown = panel.rows[first : first + rows]
    of = f" {first + 1} to {first + len(shown)} of {len(panel.rows)}" if len(shown) < len(panel.rows) else ""
    yield screen.paint(f"{panel.title}{of if panel.rows else ': none'}", Style.NAME)
    if shown:
        yield from Table(panel.header, screen).lines(shown)


@contextmanager
def _keys(pressed: Callable[[bytes], None]) -> Generator[None]:
    """Hear single keys for as long as the block lasts, if the standard input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    former = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, lambda: pressed(os.read(descriptor, 16)))
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, former)
