"""`akri validate`: tell what is wrong with Configurations before a cluster does, with the line to look at."""

from __future__ import annotations

from typing import Final

import click

from akri.cli.checks import DetailsChecks, Finding, Severity, check_files
from akri.core.errors import Problem
from akri.core.ids import HandlerName
from akri.discovery.debug_echo.details import parse_details as parse_debug_echo
from akri.discovery.udev.details import parse_details as parse_udev

__all__ = ["DETAILS_CHECKS", "printed", "read_file", "validate"]

DETAILS_CHECKS: Final[DetailsChecks] = {HandlerName("debugEcho"): parse_debug_echo, HandlerName("udev"): parse_udev}
"""The handlers whose details can be checked without them."""
_MAXIMUM_SIZE: Final = 16 * 1024 * 1024
_EPILOG: Final = """\b
Examples:
  akri validate cameras.yaml
  akri validate *.yaml
  kubectl get akric -A -o yaml | akri validate -

\b
Exit codes: 0 everything is valid, 1 there are problems, 2 wrong usage.
"""


@click.command(epilog=_EPILOG, short_help="Check Configurations; nothing is sent anywhere.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
@click.pass_context
def validate(context: click.Context, files: tuple[str, ...], quiet: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Check the Configurations in FILEs (YAML or JSON, '-' for the standard input).

    Every problem is printed with file, line and path. Nothing is sent anywhere.
    """
    texts: list[tuple[str, str]] = []
    findings: list[Finding] = []
    for file in files:
        name = "standard input" if file == "-" else file
        try:
            texts.append((name, read_file(file)))
        except (OSError, ValueError) as error:
            findings.append(Finding(name, Problem("", str(error))))
    findings += check_files(texts, DETAILS_CHECKS)
    for finding in findings:
        if finding.severity is Severity.PROBLEM or not quiet:
            click.echo(printed(finding))
    context.exit(1 if any(finding.severity is Severity.PROBLEM for finding in findings) else 0)


def read_file(file: str) -> str:
    """Read a file that a user named, '-' for the standard input. Raises OSError, and ValueError if it is no text or too large."""
    with click.open_file(file, "rb") as stream:
        content: bytes = stream.read(_MAXIMUM_SIZE + 1)
    if len(content) > _MAXIMUM_SIZE:
        message = f"is too large: expected at most {_MAXIMUM_SIZE} bytes"
        raise ValueError(message)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text: byte {error.start} cannot be read"
        raise ValueError(message) from error


def printed(finding: Finding) -> str:
    """Print a finding in one line: file, line, place, message."""
    problem = finding.problem
    where = f"{finding.file}:{problem.line}" if problem.line else finding.file
    warning = "warning: " if finding.severity is Severity.WARNING else ""
    place = f"{problem.place}: " if problem.place else ""
    # A file's content is not trusted: no control character of it reaches the terminal.
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in f"{where}: {warning}{place}{problem.message}")
