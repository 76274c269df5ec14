"""The records beside the store, out of which a lost one is built anew: files under applied/ and brokers/ of the state folder."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self, TypeVar, cast
from urllib.parse import quote

from attrs import evolve, frozen

from akri.core.errors import InvalidDocumentError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.local import documents
from akri.platforms.local.documents import Form
from akri.platforms.local.sqlite.restoring import Records
from akri.ports import ConfigurationObservation

__all__ = ["Applied", "Papers"]

_LOG: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Applied:
    """Each applied Configuration in a file of its own, as stored. JSON, which is YAML too.

    behind: those whose file is not what is stored.
    """

    def __init__(self, folder: Path) -> None:
        """Use this folder, which is made where it is missing."""
        self.behind: set[ObjectKey] = set()
        self._folder = folder
        self._written: dict[ObjectKey, ConfigurationObservation] = {}

    def follow(self, key: ObjectKey, stored: ConfigurationObservation | None, revision: int) -> None:
        """Make the file of a Configuration what is stored, None if it was deleted; where the disk does not take it, it is `behind`.

        revision: up to which this process knows the store. A file that another process wrote of a later one stays.
        """
        if stored is None:
            self._written.pop(key, None)
        try:
            if stored is None or self._says_more(stored):
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with _locked(self._folder):
                    self._replace(self._path(key), stored, revision)
        except OSError as error:
            if key not in self.behind:
                _LOG.warning("a Configuration is not kept beside the store name=%s error=%s", key, error)
            self.behind.add(key)
        else:
            self.behind.discard(key)

    def _says_more(self, stored: ConfigurationObservation) -> bool:
        """Whether more than the revision is new: it grows with each status, too."""
        written = self._written.get(stored.key)
        return (
            written is None
            or evolve(stored.metadata, revision=written.metadata.revision) != written.metadata
            or type(stored) is not type(written)
        )

    def _replace(self, path: Path, stored: ConfigurationObservation | None, revision: int) -> None:
        if max((_revision(document) for _, document in _documents([path] if path.exists() else [])), default=0) > revision:
            return
        if stored is None:
            path.unlink(missing_ok=True)
            return
        new = self._folder / ".new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
            json.dump(documents.CONFIGURATION.write(stored), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        self._written[stored.key] = stored

    def _path(self, key: ObjectKey) -> Path:
        namespace = quote(key.namespace, safe="").replace(".", "%2E")
        return self._folder / f"{namespace}.{quote(key.name, safe='')}.yaml"


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@frozen
class Papers:
    """The records as they lie in their files: not read further than is needed to tell whether they are of any use."""

    applied: tuple[tuple[Path, JsonObject], ...]
    brokers: tuple[tuple[Path, JsonObject], ...]

    @classmethod
    def collect(cls, state: Path) -> Self:
        """Read the files of a state folder; one that cannot be read is reported and left out."""
        return cls(tuple(_documents((state / "applied").glob("*.yaml"))), tuple(_documents((state / "brokers").glob("*/pod.json"))))

    def revision(self) -> int:
        """Return the last revision that they know of, 0 for none."""
        found = [document for _, document in self.applied]
        for _, record in self.brokers:
            found += [one for one in (record.get("pod"), record.get("job"), *_instances(record)) if isinstance(one, Mapping)]
        return max(map(_revision, found), default=0)

    def configurations(self) -> set[ObjectKey]:
        """Tell which Configurations are among them."""
        return {one.key for one in _read_all(self.applied, documents.CONFIGURATION)}

    def read(self) -> Records:
        """Read everything."""
        pods = [(path, record.get("pod")) for path, record in self.brokers]
        jobs = [(path, record["job"]) for path, record in self.brokers if record.get("job") is not None]
        instances = [(path, one) for path, record in self.brokers for one in _instances(record)]
        return Records(
            tuple(_read_all(self.applied, documents.CONFIGURATION)),
            tuple(_read_all(instances, documents.INSTANCE)),
            tuple(_read_all(jobs, documents.JOB)),
            tuple(_read_all(pods, documents.POD)),
        )


def _instances(record: JsonObject) -> list[Json]:
    several = record.get("instances")
    carried = [record.get("instance"), *(several if isinstance(several, list) else ())]
    return [one for one in carried if one is not None]


def _revision(document: JsonObject) -> int:
    metadata = document.get("metadata", document.get("unreadable"))
    found = metadata.get("resourceVersion", metadata.get("revision")) if isinstance(metadata, Mapping) else None
    return int(found) if isinstance(found, int) or (isinstance(found, str) and found.isdecimal()) else 0


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
