"""Devices of this machine, chosen by udev rules: block devices, cameras, serial ports."""
