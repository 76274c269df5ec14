"""Tests any discovery handler, in any language, against the discovery protocol, and says what fails and why: docs/handlers.md."""
