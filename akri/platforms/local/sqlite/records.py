"""The records beside the store, out of which a lost one is built anew: files under applied/ and brokers/ of the state folder."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar, cast
from urllib.parse import quote

from attrs import evolve

from akri.core.errors import InvalidDocumentError
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject
from akri.platforms.local import documents
from akri.platforms.local.documents import Form
from akri.platforms.local.objects import Job, Pod
from akri.platforms.local.sqlite.restoring import Records
from akri.ports import ConfigurationObservation

__all__ = ["Applied", "read_brokers", "read_records"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Applied:
    """Each applied Configuration in a file of its own, as stored. JSON, which is YAML too."""

    def __init__(self, folder: Path) -> None:
        """Use this folder, which is made where it is missing."""
        self._folder = folder
        self._written: dict[ObjectKey, ConfigurationObservation] = {}

    def follow(self, key: ObjectKey, stored: ConfigurationObservation | None) -> None:
        """Make the file of a Configuration what is stored, None if it was deleted. A disk that does not take it is reported."""
        try:
            if stored is None:
                self._written.pop(key, None)
                self._path(key).unlink(missing_ok=True)
            elif self._says_more(stored):
                self._write(stored)
                self._written[key] = stored
        except OSError as error:
            _LOG.warning("a Configuration is not kept beside the store name=%s error=%s", key, error)

    def read(self) -> tuple[ConfigurationObservation, ...]:
        """Read all that can be read."""
        return tuple(_read_all(_documents(self._folder.glob("*.yaml")), documents.CONFIGURATION))

    def _says_more(self, stored: ConfigurationObservation) -> bool:
        """Whether more than the revision is new: it grows with each status, too."""
        written = self._written.get(stored.key)
        return (
            written is None
            or evolve(stored.metadata, revision=written.metadata.revision) != written.metadata
            or type(stored) is not type(written)
        )

    def _write(self, stored: ConfigurationObservation) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(documents.CONFIGURATION.write(stored), file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path(stored.key))
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _path(self, key: ObjectKey) -> Path:
        namespace = quote(key.namespace, safe="").replace(".", "%2E")
        return self._folder / f"{namespace}.{quote(key.name, safe='')}.yaml"


def read_records(state: Path) -> Records:
    """Read what stands beside the store in a state folder; what cannot be read is reported and left out."""
    found = Applied(state / "applied").read()
    brokers = read_brokers(state / "brokers")
    return evolve(brokers, configurations=found)


def read_brokers(folder: Path) -> Records:
    """Read the pods that were admitted, with the Instances and the jobs that they were made for."""
    instances: list[Instance] = []
    jobs: list[Job] = []
    pods: list[Pod] = []
    for path, record in _documents(folder.glob("*/pod.json")):
        pods += _read_all([(path, record.get("pod"))], documents.POD)
        several = record.get("instances")
        carried = [record.get("instance"), *(several if isinstance(several, list) else ())]
        instances += _read_all([(path, one) for one in carried if one is not None], documents.INSTANCE)
        if record.get("job") is not None:
            jobs += _read_all([(path, record.get("job"))], documents.JOB)
    return Records(instances=tuple(instances), jobs=tuple(jobs), pods=tuple(pods))


def _documents(paths: Iterable[Path]) -> Iterator[tuple[Path, JsonObject]]:
    for path in sorted(paths):
        try:
            with path.open("rb") as file:
                found: object = json.load(file)
        except (OSError, ValueError, RecursionError) as error:
            _LOG.error("a record cannot be read file=%s error=%s", path, error)
            continue
        if isinstance(found, dict):
            yield path, cast("JsonObject", found)
        else:
            _LOG.error("a record cannot be read file=%s error=it is no object", path)


def _read_all(found: Iterable[tuple[Path, object]], form: Form[_T]) -> Iterator[_T]:
    for path, document in found:
        try:
            yield form.read(cast("JsonObject", document))
        except (InvalidDocumentError, AttributeError, TypeError) as error:
            _LOG.error("a record cannot be read file=%s error=%s", path, error)
