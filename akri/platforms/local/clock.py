"""The real clock under its former name."""

from akri.clock import SystemClock

__all__ = ["SystemClock"]
