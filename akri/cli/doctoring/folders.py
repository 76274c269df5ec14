"""Examines the state folder: whose it is, how much room there is, what disk it is on, and what somebody left behind in it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from akri.cli.doctoring.findings import Finding, ok, problem, warning
from akri.cli.doctoring.users import User
from akri.platforms.local.folder import STATE_FORM, StateFolder
from akri.platforms.local.programs import programs

__all__ = ["examine_folder", "examine_leftovers", "examine_space"]

_MIB: Final = 1024 * 1024
_LITTLE: Final = 200 * _MIB
_TOO_LITTLE: Final = 20 * _MIB
_FEW_FILES: Final = 2000
_OLD_TEMPORARY: Final = "akri-*"
_NETWORK: Final = frozenset({"9p", "afs", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs"})
_MOUNTS: Final = Path("/proc/self/mounts")


def examine_folder(folder: StateFolder, user: User) -> Iterator[Finding]:
    """Look at the folder itself."""
    subject, path = "state folder", folder.path
    if not path.exists():
        yield from _missing(path, user)
        return
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        yield problem(subject, f"{path} is no folder", "name another one with --state")
        return
    if not user.may_write(status):
        yield problem(
            subject, f"{path} belongs to {user.name_of(status.st_uid)}, and {user.name} may not write there", _as_owner(status, user)
        )
        return
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        yield problem(
            subject, f"{path} is on a disk that is mounted read-only", "mount it for writing, or name another folder with --state"
        )
        return
    if user.id != status.st_uid:
        owner = user.name_of(status.st_uid)
        yield warning(
            subject,
            f"{path} belongs to {owner}, and you are {user.name}",
            f"run akri as {owner}: what {user.name} makes, {owner} cannot change",
        )
    elif status.st_mode & 0o077:
        yield warning(subject, f"{path} can be entered by others, and it may hold secrets", f"chmod 700 {path}")
    else:
        yield ok(subject, f"{path} belongs to {user.name} alone")
    yield from _form(folder)


def _missing(path: Path, user: User) -> Iterator[Finding]:
    parent = next(one for one in path.parents if one.exists())
    if user.may_write(parent.stat()):
        yield ok("state folder", f"{path} is not there yet: 'akri up' makes it")
    else:
        yield problem(
            "state folder", f"{path} is not there, and {user.name} may not make it", "name another one with --state, or AKRI_STATE"
        )


def _as_owner(status: os.stat_result, user: User) -> str:
    return f"run akri as {user.name_of(status.st_uid)}, or name another folder with --state"


def _form(folder: StateFolder) -> Iterator[Finding]:
    form = folder.version()
    if form is not None and form > STATE_FORM:
        yield problem(
            "state form",
            f"form {form}, and this release knows forms up to {STATE_FORM}",
            "install the release that made it, or a later one",
        )
    elif form is not None:
        yield ok("state form", f"form {form}")


def examine_space(folder: StateFolder) -> Iterator[Finding]:
    """Look at the disk that the folder is on, or will be."""
    path = next(one for one in (folder.path, *folder.path.parents) if one.exists())
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    advice = "free some, or name a folder on another disk with --state"
    said = f"{free / _MIB:,.0f} MiB are free"
    if free < _TOO_LITTLE:
        yield problem("space", said, advice)
    elif free < _LITTLE:
        yield warning("space", said, advice)
    elif disk.f_files and disk.f_favail < _FEW_FILES:
        yield warning("space", f"{said}, but room for {disk.f_favail:,} more files only", advice)
    else:
        yield ok("space", said)
    kind = _file_system(path)
    if kind in _NETWORK:
        yield problem(
            "disk", f"{path} is on a network file system ({kind}), where locks and the store do not work", "name a folder on a local disk"
        )
    elif kind in {"tmpfs", "ramfs"}:
        yield warning(
            "disk", f"{path} is in memory ({kind}): its state is gone when the machine starts anew", "name a folder on a disk with --state"
        )
    elif kind:
        yield ok("disk", kind)


def _file_system(path: Path) -> str:
    """Tell the kind of file system that a path is on; "" where the system does not say."""
    kinds: dict[str, str] = {}
    try:
        for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
            _, mounted, kind, *_ = line.split(" ")
            kinds[mounted.replace("\\040", " ")] = kind
    except (OSError, ValueError):
        return ""
    resolved = path.resolve()
    return next((kinds[str(one)] for one in (resolved, *resolved.parents) if str(one) in kinds), "")


def examine_leftovers(folder: StateFolder, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look for what programs that were killed, or files that were damaged, left behind."""
    found = False
    for path in sorted([*folder.path.glob("*.damaged*"), *folder.path.glob("nodes/*/*/*.damaged*")]):
        found = True
        yield warning("leftovers", f"{path} was damaged, and set aside", f"look into it if something is missed, then: rm -r {path}")
    for path in sorted(Path(environment.get("TMPDIR") or tempfile.gettempdir()).glob(_OLD_TEMPORARY)):
        if (path / "controller.lock").exists() and not programs(StateFolder(path)):
            found = True
            yield warning(
                "leftovers", f"{path} is of an 'akri up --temporary' that was killed", f"akri down --state {path} && rm -r {path}"
            )
    if not found:
        yield ok("leftovers", "none")
