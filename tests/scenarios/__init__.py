"""The defects of the incumbent as scenarios, each a test named after it, on the in-memory platform and the device manager."""
