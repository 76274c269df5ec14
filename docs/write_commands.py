"""Writes docs/commands.md, the reference of all commands, from the commands themselves: `python docs/write_commands.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from akri.cli.group import cli

__all__ = ["PAGE", "page"]

PAGE: Final = Path(__file__).parent / "commands.md"
"""Where the reference is."""
_WIDTH: Final = 118
_BEFORE: Final = """\
# The commands

`akri get` shows what there is, `akri top` what goes on, `akri explain NAME` what is wrong and what to do. This page is written by
`python docs/write_commands.py` from the program, and a test holds it to that.

![akri get all](pictures/get.svg)

![akri top](pictures/top.svg)

## What all commands have in common

- **Where they look.** In the state folder of `akri up`: `--state`, else `AKRI_STATE`, else `/var/lib/akri/local` for root and
  `~/.local/state/akri` (`$XDG_STATE_HOME/akri`) for others. They may be used while `akri up` runs and while it does not. A folder without
  a store is one sentence and exit code 1.
- **Names.** Kinds have the names of kubectl too: `akric`, `akrii`, `instance.akri.sh`. `KIND/NAME` stands for `KIND NAME`. Things have a
  namespace, `default` unless `-n` says otherwise.
- **On a terminal** columns are coloured and cut to its width; only names are never cut. `NO_COLOR` and `TERM=dumb` mean no colours,
  `COLUMNS` another width. **In a pipe** columns are plain and whole, three spaces apart, with `-` for what is empty,
  so that `awk` and `grep` can work with them.
- **What devices, handlers and brokers say** never steers a terminal: control characters are printed as escapes. Secrets are never
  printed, only where they come from.
- **Errors** are one sentence on the standard error, without a stack trace; `-v`, where there is one, or `AKRI_DEBUG=1` shows the trace. A
  reader that goes away (`| head`) ends a command quietly.
- **Exit codes.**

| code | means |
|---|---|
| 0 | done; for what goes on until it is ended (`--watch`, `-f`, `top`) also Ctrl-C and SIGTERM |
| 1 | something was not there, was refused or failed: the standard error says what |
| 2 | wrong usage: nothing was done |
| 130 | ended by Ctrl-C before it was done |
| 141 | the reader of its output went away |

Some commands have one more, which stands in their part of this page.

`eval "$(akri completion bash)"` makes a shell complete all of this, names too.
"""


def page() -> str:
    """Write the page as text."""
    context = click.Context(cli, info_name="akri")
    parts = [_BEFORE]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None or command.hidden:
            continue
        with click.Context(command, info_name=name, parent=context, terminal_width=_WIDTH, max_content_width=_WIDTH) as inner:
            lines = [line.rstrip() for line in command.get_help(inner).strip().splitlines()]
        parts.append(f"## akri {name}\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
