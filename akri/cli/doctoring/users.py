"""Who runs akri, in numbers and names, and what the kernel lets them do to a file."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress

from attrs import frozen

__all__ = ["User"]


@frozen
class User:
    """A user of this machine. groups: numbers of all groups, the first one included."""

    id: int
    groups: frozenset[int]

    @classmethod
    def present(cls) -> User:
        """Tell who runs this process."""
        return cls(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))

    @property
    def name(self) -> str:
        """The user's name."""
        return self.name_of(self.id)

    @staticmethod
    def name_of(number: int) -> str:
        """Name a user, by the number where there is no name."""
        with suppress(KeyError):
            return pwd.getpwuid(number).pw_name
        return f"user {number}"

    @staticmethod
    def group_name(number: int) -> str:
        """Name a group."""
        with suppress(KeyError):
            return grp.getgrgid(number).gr_name
        return f"group {number}"

    def may_write(self, status: os.stat_result) -> bool:
        """Tell whether this user may write a file, or make files in a folder."""
        return self._may(status, 0o2)

    def may_read(self, status: os.stat_result) -> bool:
        """Tell whether this user may read a file."""
        return self._may(status, 0o4)

    def _may(self, status: os.stat_result, bit: int) -> bool:
        if self.id == 0:
            return True
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid == self.id:
            return bool(mode & bit << 6)
        return bool(mode & (bit << 3 if status.st_gid in self.groups else bit))
