"""`akri completion`: what makes a shell complete commands, kinds and names."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["completion"]

_EPILOG: Final = """\b
Examples, each for the present shell; in the file that the shell reads at its start it lasts:
  eval "$(akri completion bash)"                                # ~/.bashrc, bash 4.4 or newer
  eval "$(akri completion zsh)"                                 # ~/.zshrc
  akri completion fish > ~/.config/fish/completions/akri.fish

\b
Exit codes: 0 done, 2 wrong usage.
"""
_VARIABLE: Final = "_AKRI_COMPLETE"


@click.command(epilog=_EPILOG, short_help="Let a shell complete commands, kinds and names.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete what is typed after 'akri': commands, options, kinds and the names that there are."""
    from click.shell_completion import ShellComplete, get_completion_class  # noqa: PLC0415 - `akri --help` does not need it

    made = get_completion_class(shell)
    if made is None:
        message = f"there is no completion for {shell}"
        raise click.ClickException(message)
    # The class for bash starts one to look at its version; who only wants the script may have none.
    click.echo(ShellComplete.source(made(context.find_root().command, {}, "akri", _VARIABLE)))
