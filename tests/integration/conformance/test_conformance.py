"""The kit passes good handlers, and finds in each broken one what is broken, by its rule."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
from attrs import evolve

from akri.core.errors import InvalidValueError
from akri.discovery.conformance.plan import Plan
from akri.discovery.conformance.rules import RULES, Outcome, Verdict
from akri.discovery.conformance.running import CHECKS, conformance
from akri.discovery.conformance.subject import Target, endpoint_of
from akri.discovery.snapshot import Snapshot
from tests.integration.conformance.broken import BROKEN
from tests.integration.conformance.handlers import LARGE, LARGE_COUNT, Answer, Behaviour, Small, small

PROCESS = (sys.executable, "-m", "tests.integration.conformance.process")
# What the process of a handler breaks: the fault that it is told, the rule, and words of the finding.
PROCESSES = {
    "impatient": ("waits-for-agent", "the process ended with 1, its last words: 'there is no agent'"),
    "leaks": ("lets-go", "descriptors more after"),
    "deaf": ("ends", "it still runs after"),
}
PLAN = Plan(details="some", large_details=LARGE, large_least=LARGE_COUNT, patience=6, quiet=0.5, cancels=70)
AT_A_TIME = 10
PATIENT = Plan(details="some", large_details=LARGE, large_least=LARGE_COUNT, patience=20, quiet=0.4, cancels=40)


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="akri-") as name:
        yield Path(name)


def failed(outcomes: tuple[Outcome, ...]) -> dict[str, str]:
    return {outcome.rule.id: outcome.found for outcome in outcomes if outcome.verdict is Verdict.FAILED}


def not_tried(outcomes: tuple[Outcome, ...]) -> set[str]:
    return {outcome.rule.id for outcome in outcomes if outcome.verdict is Verdict.NOT_TRIED}


async def _found(fault: str, turns: asyncio.Semaphore) -> dict[str, str]:
    broken = BROKEN[fault]
    async with turns:
        with tempfile.TemporaryDirectory(prefix="akri-") as name:
            async with small(Path(name), broken.behaviour) as handler:
                change = f"touch {handler.changed}" if broken.change else ""
                large = LARGE if broken.rule in {"slow-reader", "large-answer"} else None  # which takes time
                plan = evolve(PLAN, change=change, large_details=large)
                endpoint = endpoint_of(f"unix:{handler.socket}") if not broken.behaviour.registers else None
                return failed(await conformance(Target(endpoint=endpoint, folder=Path(name)), plan))


@pytest.fixture(scope="module")
def broken_ones(request: pytest.FixtureRequest) -> dict[str, dict[str, str]]:
    """What was found in each broken handler that a chosen test asks for; they are tested side by side, for they mostly wait."""
    chosen = [
        item.callspec.params.get("broken_one")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    ]
    faults = [fault for fault in BROKEN if fault in chosen]

    async def every() -> list[dict[str, str]]:
        turns = asyncio.Semaphore(AT_A_TIME)
        return await asyncio.gather(*(_found(fault, turns) for fault in faults))

    return dict(zip(faults, asyncio.run(every()), strict=True))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broken_one", BROKEN)
def test_broken_handler_fails_its_rule(broken_one: str, broken_ones: dict[str, dict[str, str]]) -> None:
    broken, found = BROKEN[broken_one], broken_ones[broken_one]

    assert broken.says in found.get(broken.rule, ""), found
    assert set(found) - {broken.rule} == set(broken.also), found


@pytest.mark.parametrize("fault", PROCESSES)
async def test_broken_process_fails_its_rule(fault: str) -> None:
    rule, says = PROCESSES[fault]
    plan = {"impatient": evolve(PATIENT, quiet=20), "leaks": PATIENT, "deaf": PLAN}[fault]
    found = failed(await conformance(Target((*PROCESS, fault)), plan, rules=["first-answer", rule]))

    assert says in found.pop(rule), found
    assert set(found) <= ({"first-answer"} if fault == "impatient" else set())


def test_each_rule_has_a_check_and_a_broken_handler() -> None:
    assert set(CHECKS) == set(RULES)
    assert {broken.rule for broken in BROKEN.values()} | {rule for rule, _ in PROCESSES.values()} == set(RULES)


async def test_a_good_handler_passes(folder: Path) -> None:
    async with small(folder, Behaviour()) as handler:
        plan = Plan(
            "some", change=f"touch {handler.changed}", large_details=LARGE, large_least=LARGE_COUNT, patience=20, quiet=0.4, cancels=40
        )
        outcomes = await conformance(Target(folder=folder), plan)

    assert failed(outcomes) == {}
    assert not_tried(outcomes) == {"waits-for-agent", "lets-go", "ends"}


async def test_a_good_process_passes() -> None:
    outcomes = await conformance(Target(PROCESS), PATIENT)

    assert failed(outcomes) == {}
    assert not_tried(outcomes) == {"change-told"}


async def test_an_endpoint_alone_is_tested_as_far_as_that_goes(folder: Path) -> None:
    async with small(folder, Behaviour(registers=frozenset())) as handler:
        outcomes = await conformance(Target(endpoint=endpoint_of(str(handler.socket))), PATIENT)

    assert failed(outcomes) == {}
    registration = {"registers", "registration", "registers-after-lost-stream", "registers-with-new-agent", "same-registration"}
    assert not_tried(outcomes) == {"waits-for-agent", "lets-go", "ends", "change-told"} | registration


async def test_where_an_agent_is_nobody_takes_its_place(folder: Path) -> None:
    (folder / "agent-registration.sock").touch()

    with pytest.raises(InvalidValueError, match="it may be that of a running agent"):
        await conformance(Target(folder=folder), PLAN)


async def test_a_command_that_is_none_is_named() -> None:
    with pytest.raises(InvalidValueError, match=r"/no/such.*No such file"):
        await conformance(Target(("/no/such",)), PLAN)


async def test_a_rule_that_is_none_is_named() -> None:
    with pytest.raises(InvalidValueError, match="'no-such-rule' is not valid: expected one of waits-for-agent"):
        await conformance(Target(("true",)), PLAN, rules=["no-such-rule"])


async def nothing(_small: Small, _details: str, _number: int) -> AsyncIterator[Answer]:
    yield Snapshot()
    await asyncio.Event().wait()


async def test_without_a_device_nothing_is_said_about_devices(folder: Path) -> None:
    async with small(folder, Behaviour(nothing)):
        rules = [
            "first-answer",
            "unique-ids",
            "device-ids",
            "properties",
            "paths",
            "permissions",
            "stable-ids",
            "stable-devices",
            "whole-answers",
        ]
        outcomes = await conformance(Target(folder=folder), PATIENT, rules=rules)

    assert failed(outcomes) == {}
    assert not_tried(outcomes) == set(rules) - {"first-answer", "whole-answers"}
