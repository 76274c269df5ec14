"""The udev handler against real kernel devices, and against the real udev."""
