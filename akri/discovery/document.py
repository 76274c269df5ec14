"""Discovery details are YAML in a string. This is the one reader of that text, apart from the pure parsers that judge its content."""

from __future__ import annotations

import asyncio
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from akri.core.errors import InvalidDocumentError, Problem

__all__ = ["read_document", "read_document_aside"]

_MAXIMUM_LENGTH: Final = 1_000_000
"""Characters; an object in etcd is smaller than that."""
_SHORT: Final = 1000
"""Characters that are read in well under a second, whatever they are."""


def read_document(title: str, text: str) -> object:
    """Read one YAML 1.2 document into plain values; None for an empty one. `title` says in errors what the text is.

    Raises InvalidDocumentError with the line for anything that is not one YAML document.
    """
    if len(text) > _MAXIMUM_LENGTH:
        raise InvalidDocumentError(title, [Problem("", f"{len(text)} characters are too many: expected at most {_MAXIMUM_LENGTH}")])
    reader = YAML(typ="safe", pure=True)
    try:
        document: object = reader.load(text)  # pyright: ignore[reportUnknownMemberType]
    except MarkedYAMLError as error:
        mark = error.problem_mark
        reason = f"not valid YAML: {error.problem or error.context or 'cannot be read'}"
        raise InvalidDocumentError(title, [Problem("", reason, mark.line + 1 if mark else 0)]) from error
    except YAMLError as error:
        raise InvalidDocumentError(title, [Problem("", f"not valid YAML: {str(error).splitlines()[0]}")]) from error
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # The reader lets these escape for dates, numbers and nesting that it cannot represent.
        raise InvalidDocumentError(title, [Problem("", f"not usable YAML: {type(error).__name__}")]) from error
    return document


async def read_document_aside(title: str, text: str) -> object:
    """Do the same without holding up the event loop: a long text is read in a worker thread."""
    if len(text) <= _SHORT:
        return read_document(title, text)
    return await asyncio.to_thread(read_document, title, text)
