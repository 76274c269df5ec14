"""Tests a handler rule by rule. As a library:

outcomes = await conformance(Target(command=("./my-handler",)), Plan("descriptions: [a, b]"))
assert not [outcome for outcome in outcomes if outcome.verdict is Verdict.FAILED]
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from akri.clock import SystemClock
from akri.discovery.conformance.asking import asking
from akri.discovery.conformance.bench import Bench, NotTriedError
from akri.discovery.conformance.checks import ANSWERS, Check
from akri.discovery.conformance.life import LIFE
from akri.discovery.conformance.plan import Plan
from akri.discovery.conformance.rules import RULES, Outcome, Rule, Verdict, chosen
from akri.discovery.conformance.subject import Subject, Target

__all__ = ["CHECKS", "conformance", "run_conformance"]

CHECKS: Final[Mapping[str, Check]] = {**LIFE, **ANSWERS}
"""How each rule is tried, by its id."""
_BEFORE_AGENT: Final = "waits-for-agent"
_BEFORE_ANSWERS: Final = frozenset({"registers", "registration"})


def _silent(_outcome: Outcome) -> None:
    return


async def conformance(
    target: Target, plan: Plan, *, rules: Sequence[str] = (), tell: Callable[[Outcome], None] = _silent
) -> tuple[Outcome, ...]:
    """Test a handler against the rules with these ids, all of them for none; `tell` gets each outcome as soon as it is known.

    Raises InvalidValueError for an unknown rule, a command that cannot be run, a folder in which an agent is.
    """
    wanted = chosen(rules)
    outcomes: list[Outcome] = []
    async with AsyncExitStack() as stack:
        bench = Bench(await stack.enter_async_context(Subject(target, SystemClock())), plan)
        if _BEFORE_AGENT in wanted:
            outcomes.append(await _tried(RULES[_BEFORE_AGENT], bench))
            tell(outcomes[-1])
        await bench.subject.start_agent()
        if bench.subject.has_agent and bench.subject.endpoint is None:
            await bench.subject.registers(0, plan.patience)
        for rule in (RULES[one] for one in wanted if one != _BEFORE_AGENT):
            if bench.watcher is None and bench.subject.endpoint is not None and rule.id not in _BEFORE_ANSWERS:
                bench.watcher = await stack.enter_async_context(asking(bench.ask, plan.question))
                if await bench.watcher.until(lambda stream: bool(stream.answers), plan.patience):
                    await asyncio.sleep(plan.quiet)  # what comes now without a reason breaks rules
            outcomes.append(await _tried(rule, bench))
            tell(outcomes[-1])
    return tuple(outcomes)


def run_conformance(
    target: Target, plan: Plan, *, rules: Sequence[str] = (), tell: Callable[[Outcome], None] = _silent
) -> tuple[Outcome, ...]:
    """Do the same without an event loop of one's own."""
    return asyncio.run(conformance(target, plan, rules=rules, tell=tell))


async def _tried(rule: Rule, bench: Bench) -> Outcome:
    try:
        found = await CHECKS[rule.id](bench)
    except NotTriedError as error:
        return Outcome(rule, Verdict.NOT_TRIED, str(error))
    return Outcome(rule, Verdict.FAILED if found else Verdict.PASSED, found)
