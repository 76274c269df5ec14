"""The loop: watches -> World -> `plan` -> requests. What is decided, is decided elsewhere; this runs it and nothing ends it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar, assert_never

from akri.controller import telling
from akri.controller.effects import effect_seen
from akri.controller.expectations import Expectations, target
from akri.controller.reporting import Reporting
from akri.controller.settings import ControllerSettings
from akri.controller.world import Feed, World
from akri.core.errors import AkriError
from akri.core.retry import NETWORK_BACK_OFF
from akri.platforms.following import follow
from akri.ports import Clock, ClusterPlatform, Done, Outcome, Refusal, Refused, Unknown, WatchEvent
from akri.scheduling.model import Action
from akri.scheduling.placement import FIRST_NODES, Placement
from akri.scheduling.planning import Plan, plan

__all__ = ["Controller"]

_T = TypeVar("_T")
_FINAL: Final = frozenset({Refusal.FORBIDDEN, Refusal.INVALID})
_SMALL_PART: Final = 64
_LARGE_PART: Final = 2000
_logger = logging.getLogger(__name__)


class Controller:
    """Runs the brokers that a cluster's Configurations ask for. One `run` at a time; cancel it to stop."""

    def __init__(
        self, platform: ClusterPlatform, clock: Clock, placement: Placement = FIRST_NODES, settings: ControllerSettings | None = None
    ) -> None:
        """Take the platform, the time, the placement policy and what the operator has set."""
        self._platform = platform
        self._clock = clock
        self._placement = placement
        self._settings = settings or ControllerSettings()
        self._world = World()
        self._plan = Plan()
        self._expectations = Expectations()
        self._queue: deque[Action] = deque()
        self._planned_at = 0.0
        self._stirred = asyncio.Event()
        self._queued = asyncio.Condition()
        self._reporting = Reporting(platform, clock, self._settings)

    async def run(self) -> None:
        """Observe, plan and act until cancelled."""
        world, platform = self._world, self._platform
        async with asyncio.TaskGroup() as group:
            self._follow(group, "configurations", platform.watch_configurations, world.configurations)
            self._follow(group, "instances", platform.watch_instances, world.instances)
            self._follow(group, "pods", platform.watch_broker_pods, world.pods)
            self._follow(group, "jobs", platform.watch_broker_jobs, world.jobs)
            self._follow(group, "services", platform.watch_broker_services, world.services)
            self._follow(group, "nodes", platform.watch_nodes, world.nodes)
            self._follow(group, "reports", platform.watch_reports, world.reports)
            group.create_task(self._reporting.run(), name="reporting")
            for number in range(self._settings.parallel):
                group.create_task(self._work(), name=f"worker-{number}")
            await self._decide(group)

    def _follow(self, group: asyncio.TaskGroup, name: str, watch: Callable[[], AsyncIterator[WatchEvent[_T]]], feed: Feed[_T]) -> None:
        def take(event: WatchEvent[_T]) -> None:
            if feed.take(event):
                self._stirred.set()

        group.create_task(follow(name, watch, take, self._clock), name=f"watch-{name}")

    async def _decide(self, group: asyncio.TaskGroup) -> None:
        alarm: asyncio.Task[None] | None = None
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            if self._queue and self._clock.now() < self._planned_at + self._settings.patience:
                continue
            if alarm is not None:
                alarm.cancel()
            pause = self._settings.audit
            if self._world.complete:
                pause = self._replan()
                async with self._queued:
                    self._queued.notify_all()
            alarm = group.create_task(self._ring(pause), name="alarm")

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._stirred.set()

    def _replan(self) -> float:
        """Plan, fill the queue, and tell in how many seconds to plan again at the latest."""
        now, wall = self._clock.now(), self._clock.wall()
        world, self._planned_at = self._world, now
        world.advance(wall)
        self._expectations, again = self._expectations.settle(lambda action: effect_seen(action, world), now)
        for action in again:
            _logger.info("again: reason=%s what=%r", action.reason.value, telling.describe(action))
            world.unassume(action)
        try:
            self._plan = plan(world.snapshot, wall, self._placement, self._settings.timing, self._plan)
        except Exception:
            # A placement policy is somebody else's code.
            _logger.exception("planning failed: policy=%s", type(self._placement).__name__)
            self._queue.clear()
            return self._settings.status
        self._expectations = self._expectations.keep_failures(self._plan.actions)
        self._queue = deque(_part(self._expectations.sendable(self._plan.actions)))
        self._reporting.show(world, self._plan.refusals)
        dues = [self._settings.patience if self._queue else self._settings.audit]
        if self._plan.next_due is not None:
            dues.append(self._plan.next_due - wall)
        if self._expectations.next_due is not None:
            dues.append(self._expectations.next_due - now)
        return max(0.0, min(dues))

    async def _work(self) -> None:
        while True:
            async with self._queued:
                await self._queued.wait_for(lambda: bool(self._queue))
                action = self._queue.popleft()
                self._expectations = self._expectations.sent(action)
                self._world.assume(action)
            outcome = await self._execute(action)
            self._conclude(action, outcome)
            await self._tell(action, outcome)

    async def _execute(self, action: Action) -> Outcome:
        try:
            return await self._platform.execute(action)
        except (AkriError, OSError) as error:
            return Unknown(str(error))
        except Exception as error:
            _logger.exception("request failed: action=%s", type(action).__name__)
            return Unknown(repr(error))

    def _conclude(self, action: Action, outcome: Outcome) -> None:
        now = self._clock.now()
        match outcome:
            case Done():
                self._expectations = self._expectations.done(action, now + self._settings.effect)
            case Refused() | Unknown():
                failures = self._expectations.failures.get(target(action), 0) + 1
                delay = NETWORK_BACK_OFF.seconds(failures, self._clock.random())
                self._expectations = self._expectations.failed(action, now + delay)
            case _:
                assert_never(outcome)
        self._stirred.set()

    async def _tell(self, action: Action, outcome: Outcome) -> None:
        reason, what = action.reason.value, telling.describe(action)
        match outcome:
            case Done():
                _logger.info("done: reason=%s what=%r", reason, what)
                await self._reporting.emit(telling.done(action))
            case Refused(refusal, message):
                _logger.warning("refused: reason=%s refusal=%s what=%r message=%r", reason, refusal.value, what, message)
                if refusal in _FINAL:
                    await self._reporting.emit(telling.refused(action, message))
            case Unknown(cause):
                _logger.warning("unknown: reason=%s what=%r cause=%r", reason, what, cause)
            case _:
                assert_never(outcome)


def _part(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    # So much that planning anew after each part costs less than carrying it out, and so little that what is asked is not stale.
    return actions[: min(_LARGE_PART, max(_SMALL_PART, len(actions) // 4))]
