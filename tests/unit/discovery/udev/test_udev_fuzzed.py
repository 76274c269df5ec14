"""A short run of the program that feeds the parsers with rubbish; `./dev fuzz` runs it for longer."""

from __future__ import annotations

from tests.fuzz.udev import main


def test_rubbish_does_no_harm() -> None:
    seen = main(10_000)
    assert set(seen) == {(name, taken) for name in ("_rule", "_pattern", "_details", "_properties", "_message") for taken in (True, False)}
    assert min(seen.values()) > 10, seen
