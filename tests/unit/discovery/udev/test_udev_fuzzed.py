"""A short run of the program that feeds the parsers with rubbish; `./dev fuzz` runs it for longer."""

from __future__ import annotations

from tests.fuzz.udev import main


def test_rubbish_does_no_harm() -> None:
    main(10_000)
