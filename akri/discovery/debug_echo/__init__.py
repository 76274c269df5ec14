"""Devices that exist because the Configuration names them: for trying Akri and for tests, without any hardware."""
