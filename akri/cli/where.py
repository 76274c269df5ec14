"""Where the commands look and write: the one decorator with the options for it, and what opens a platform behind them.

Commands know `UserPlatform` alone. A test, or a program with a store of its own, gives the group an `Opener` as click's `obj`.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

import click
from attrs import frozen

if TYPE_CHECKING:
    from akri.ports import UserPlatform

__all__ = ["STATE_VARIABLE", "VERBOSE", "Opener", "Place", "default_state", "in_namespace", "on_platform", "place_of", "state_option"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Command = TypeVar("_Command", bound=Callable[..., object])

STATE_VARIABLE: Final = "AKRI_STATE"
"""Environment variable that names the state folder where --state does not."""
VERBOSE: Final = "akri.verbose"
"""Key in a click context's `meta`: whether stack traces are wanted."""
_STATE: Final = "akri.state"
_STORE: Final = "store.sqlite"


def default_state() -> Path:
    """Name the state folder of this user: that of the service for root, else one in the user's home."""
    if os.geteuid() == 0:
        return Path("/var/lib/akri/local")
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "akri"


@frozen
class Opener:
    """Opens a platform; `open` takes the state folder."""

    open: Callable[[Path], AbstractAsyncContextManager[UserPlatform]]


@frozen
class Place:
    """What the options said: the platform that a command is to speak to."""

    state: Path
    opener: Opener

    def run(self, work: Callable[[UserPlatform], Awaitable[_T]]) -> _T:
        """Open the platform and do something with it. Raises what the port's methods raise, and ClickException if there is none."""
        import asyncio  # noqa: PLC0415 - `--help` must not load it

        return asyncio.run(self._opened(work))

    def follow(self, work: Callable[[UserPlatform], Awaitable[None]], seconds: float | None = None) -> None:
        """Do something that goes on until Ctrl-C, SIGTERM or so many seconds end it, each of which is a good end."""
        import asyncio  # noqa: PLC0415

        gc.enable()

        async def bounded(platform: UserPlatform) -> None:
            doing = asyncio.ensure_future(work(platform))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, doing.cancel)
            await asyncio.wait({doing}, timeout=seconds)
            if not doing.done():
                doing.cancel()
                await asyncio.wait({doing})
            if not doing.cancelled():
                doing.result()

        self.run(bounded)

    async def _opened(self, work: Callable[[UserPlatform], Awaitable[_T]]) -> _T:
        async with self.opener.open(self.state) as platform:
            return await work(platform)


def _local(state: Path) -> AbstractAsyncContextManager[UserPlatform]:
    from akri.clock import SystemClock  # noqa: PLC0415 - `--help` must not load all this
    from akri.platforms.local.user import opened_user  # noqa: PLC0415

    if not (state / _STORE).exists():
        message = f"{state} holds no state of akri: begin it with 'akri up', or name its folder with --state or {STATE_VARIABLE}"
        raise click.ClickException(message)
    return opened_user(state, SystemClock())


def place_of(context: click.Context) -> Place:
    """Read the options of `on_platform`."""
    state = context.params.get("state")
    return Place(state if isinstance(state, Path) else default_state(), context.find_object(Opener) or Opener(_local))


def state_option(command: _Command) -> _Command:
    """Add --state alone, for commands that work on the folder itself; its value is a Path, the default already chosen."""
    return click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        envvar=STATE_VARIABLE,
        default=default_state,
        show_default="/var/lib/akri/local for root, ~/.local/state/akri for others",
        show_envvar=True,
        help="The state folder of 'akri up'.",
    )(command)


def on_platform(command: Callable[Concatenate[Place, _P], _T]) -> Callable[_P, _T]:
    """Add the options that say where to look, and give the command a Place before its own parameters."""

    def placed(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        context = click.get_current_context()
        kwargs.pop("state")
        if kwargs.pop("verbose"):
            context.meta[VERBOSE] = True
        return command(place_of(context), *args, **kwargs)

    wrapped = update_wrapper(placed, command)
    return state_option(click.option("-v", "--verbose", is_flag=True, help="Print a stack trace where something fails.")(wrapped))


def in_namespace(command: _Command) -> _Command:
    """Add -n/--namespace."""
    return click.option("-n", "--namespace", default="default", show_default=True, metavar="NAME", help="The namespace to look in.")(
        command
    )
