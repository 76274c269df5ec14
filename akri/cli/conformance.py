"""`akri conformance`: test a discovery handler in any language against the discovery protocol."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from akri.core.errors import AkriError
from akri.discovery.conformance.rules import RULES, Outcome, Verdict

if TYPE_CHECKING:
    from akri.discovery.conformance.subject import Target

__all__ = ["conformance"]

_EPILOG = """\b
Examples:
  akri conformance --details 'descriptions: [a, b]' -- akri-handler debug-echo
  akri conformance --details-file good.yaml --bad-details 'colour: 1' -- ./my-handler --fast
  akri conformance --details-file good.yaml /var/lib/akri/myHandler.sock
  akri conformance --details-file good.yaml http://10.1.2.3:10000
  akri conformance --list

\b
A command is started with DISCOVERY_HANDLERS_DIRECTORY set to a new folder, in which the test plays the agent. With an endpoint,
what needs an agent is tried only with --folder, the folder that the handler was started with.

\b
Exit codes: 0 no rule was broken, 1 at least one was, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Test a discovery handler in any language.")
@click.argument("target", metavar="ENDPOINT|COMMAND...", nargs=-1)
@click.option("--details", help="Details that the handler takes, best ones that find a device.")
@click.option("--details-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The same, from a file.")
@click.option("--bad-details", multiple=True, help="Details that it must refuse; may be given several times.  [default: '{]']")
@click.option("--property", "properties", metavar="NAME=VALUE", multiple=True, help="A discovery property; may be given several times.")
@click.option("--large-details-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Details that find many devices.")
@click.option("--large-least", type=click.IntRange(min=1), default=1, help="How many devices those find at least.")
@click.option("--change", default="", metavar="COMMAND", help="Run with sh to change the devices that the good details find.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to play the agent for a handler that runs already.")
@click.option("--patience", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds for what it does at once.")
@click.option("--tls", nargs=3, type=click.Path(path_type=Path), metavar="CERTIFICATE KEY AUTHORITIES", help="To speak TLS with.")
@click.option("--rule", "rules", metavar="ID", multiple=True, help="Try this rule only; may be given several times.")
@click.option("--list", "listing", is_flag=True, help="Say what the rules are, and why.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print the outcome.")
@click.pass_context
def conformance(
    context: click.Context,
    *,
    target: tuple[str, ...],
    details: str | None,
    details_file: Path | None,
    bad_details: tuple[str, ...],
    properties: tuple[str, ...],
    large_details_file: Path | None,
    large_least: int,
    change: str,
    folder: Path | None,
    patience: float,
    tls: tuple[Path, Path, Path] | None,
    rules: tuple[str, ...],
    listing: bool,
    output: str,
) -> None:
    """Test a discovery handler, in any language, against the discovery protocol.

    ENDPOINT is where one listens already: the path of a unix socket, or a URL. COMMAND is one to start, after a '--'.
    Each rule that is broken is printed with what was expected and what came.
    """
    if listing:
        click.echo("\n".join(f"{rule.id}: {rule.expected}\n    why: {rule.why}" for rule in RULES.values()))
        return
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # before grpc is loaded: it reports each ended stream on the standard error
    from akri.discovery.conformance.plan import Plan  # noqa: PLC0415 - `akri --help` must not load all this
    from akri.discovery.conformance.running import run_conformance  # noqa: PLC0415 - as above
    from akri.discovery.tls import TlsFiles  # noqa: PLC0415 - as above

    try:
        plan = Plan(
            details=_details(details, details_file),
            properties=dict(_property(text) for text in properties),
            bad_details=bad_details or ("{]",),
            large_details=_read(large_details_file),
            large_least=large_least,
            change=change,
            patience=patience,
            quiet=min(2.0, patience / 2),
            tls=TlsFiles(*tls) if tls else None,
        )
        outcomes = run_conformance(_target(target, folder), plan, rules=rules, tell=_tell if output == "text" else _say_nothing)
    except (AkriError, OSError, ValueError) as error:
        raise click.UsageError(str(error), context) from error
    _conclude(outcomes, output)
    context.exit(1 if any(outcome.verdict is Verdict.FAILED for outcome in outcomes) else 0)


def _target(words: tuple[str, ...], folder: Path | None) -> Target:
    from akri.discovery.conformance.subject import Target, endpoint_of  # noqa: PLC0415 - as above

    if not words:
        if folder is None:
            message = "nothing to test: expected an endpoint, a command, or --folder for a handler that registers there"
            raise click.UsageError(message)
        return Target(folder=folder.absolute())
    endpoint = endpoint_of(words[0]) if len(words) == 1 else None
    if endpoint is not None:
        return Target(endpoint=endpoint, folder=folder and folder.absolute())
    command = tuple(shlex.split(words[0])) if len(words) == 1 else words
    return Target(command, folder=folder and folder.absolute())


def _details(text: str | None, file: Path | None) -> str:
    if text is not None and file is not None:
        message = "--details and --details-file: expected one of them"
        raise click.UsageError(message)
    return text or _read(file) or ""


def _read(file: Path | None) -> str | None:
    return None if file is None else file.read_text(encoding="utf-8")


def _property(text: str) -> tuple[str, bytes]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"--property: {text!r} is not valid: expected NAME=VALUE"
        raise click.UsageError(message)
    return name, value.encode()


def _tell(outcome: Outcome) -> None:
    # A handler is other people's code: no control character of what it says reaches the terminal.
    click.echo("".join(c if c.isprintable() else repr(c)[1:-1] for c in str(outcome)))


def _say_nothing(_outcome: Outcome) -> None:
    return


def _conclude(outcomes: Sequence[Outcome], output: str) -> None:
    counts = Counter(outcome.verdict for outcome in outcomes)
    if output == "json":
        rules = [
            {"rule": one.rule.id, "verdict": one.verdict.value, "expected": one.rule.expected, "why": one.rule.why, "found": one.found}
            for one in outcomes
        ]
        click.echo(json.dumps({"failed": counts[Verdict.FAILED], "rules": rules}, indent=2))
        return
    click.echo(f"{len(outcomes)} rules: " + ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict))
