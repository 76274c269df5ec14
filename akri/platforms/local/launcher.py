"""Makes a process that outlives this program and becomes the supervisor of a container. Run as a script, never imported.

    launcher.py ENVIRONMENT READ WRITE LOCK RECORD SHELL SCRIPT ARGUMENT...

The first four are descriptors, which become 6, 7, 8 and 9 of SCRIPT. The process belongs to no terminal and no session of the
starter's, it is a child subreaper (prctl(2); kept over execve, so the shell need not know), and RECORD says who it is, and which
pipe it reads, before it becomes the shell. What goes wrong is written to the standard error, which is closed when nothing can any more.
"""

import ctypes
import fcntl
import os
import sys

__all__ = ["main"]

_PR_SET_CHILD_SUBREAPER = 36
_SIG_SETMASK = 2
_SIGNALS = 65
_MASK_BYTES = 128
_FIRST = 6
_ABOVE_ALL = 16


def _place(descriptors: list[int]) -> None:
    """Move descriptors to 6 and up; first out of each other's way."""
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _ABOVE_ALL) for descriptor in descriptors]
    for number, copy in enumerate(copies, _FIRST):
        os.dup2(copy, number)
    os.closerange(_FIRST + len(copies), max(*copies, *descriptors) + 1)


def _text(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _reset_signals(libc: ctypes.CDLL) -> None:
    """Treat all signals as a process does that was told nothing: this interpreter ignores some, and so may have its starter.

    Through the C library, because Python's `signal` takes a third of the time that all of this takes.
    """
    for number in range(1, _SIGNALS):
        libc.signal(number, None)  # fails for those that cannot be changed
    nothing = ctypes.create_string_buffer(_MASK_BYTES)
    libc.sigprocmask(_SIG_SETMASK, nothing, None)


def _become(libc: ctypes.CDLL, record: str) -> None:
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot become a child subreaper")
    boot, stat = _text("/proc/sys/kernel/random/boot_id"), _text("/proc/self/stat")
    descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, boot + stat + b"%d\n" % os.fstat(_FIRST + 1).st_ino)
    os.close(descriptor)


def main() -> None:
    """Fork, and let the child become the supervisor."""
    if os.fork():
        os._exit(0)
    os.setsid()
    try:
        _place([int(number) for number in sys.argv[1:5]])
        libc = ctypes.CDLL(None, use_errno=True)
        _become(libc, sys.argv[5])
        _reset_signals(libc)
        shell = sys.argv[6:]
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        os.close(nothing)
        os.execvp(shell[0], shell)  # noqa: S606 - it is the shell
    except OSError as error:
        os.write(2, str(error).encode("utf-8", "replace"))
        os._exit(1)


if __name__ == "__main__":
    main()
