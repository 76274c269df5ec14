"""Discovery details are YAML in a string. Here the text is read; the pure parsers of the handlers judge its content."""

from __future__ import annotations

import asyncio
from typing import Final

from akri.core.errors import InvalidDocumentError, Problem
from akri.core.metadata import Json
from akri.manifests import read_manifests

__all__ = ["read_document", "read_document_aside"]

_MAXIMUM_LENGTH: Final = 1_000_000
"""Characters; an object in etcd is smaller than that."""
_SHORT: Final = 1000
"""Characters that are read in well under a second, whatever they are."""


def read_document(title: str, text: str) -> Json:
    """Read the one YAML 1.2 document of a text; None for an empty text. `title` says in errors what the text is.

    Raises InvalidDocumentError with the lines of everything that cannot be read.
    """
    if len(text) > _MAXIMUM_LENGTH:
        raise InvalidDocumentError(title, [Problem("", f"{len(text)} characters are too many: expected at most {_MAXIMUM_LENGTH}")])
    found = read_manifests(text)
    if found.problems:
        raise InvalidDocumentError(title, found.problems)
    if len(found.documents) > 1:
        raise InvalidDocumentError(title, [Problem("", "a second document begins here: expected one", found.documents[1].line)])
    return found.documents[0].document if found.documents else None


async def read_document_aside(title: str, text: str) -> Json:
    """Do the same without holding up the event loop: a long text is read in a worker thread."""
    if len(text) <= _SHORT:
        return read_document(title, text)
    return await asyncio.to_thread(read_document, title, text)
