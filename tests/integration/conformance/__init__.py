"""The conformance kit against good handlers, and against one that is broken on purpose for each of its rules."""
