"""Writes to Instances on an API server: each is one request, and what a refusal means is decided on what the server has then.

The decisions are those of `akri.platforms.writes`, the requests those of `patches`, the meaning of status codes that of `answers`;
here they are carried out. A write that can be sent without knowing the Instance (a claim above all) is sent at once, the others
read it first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

from attrs import define, frozen

from akri.core.errors import InvalidDocumentError, OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import JsonObject
from akri.core.retry import BackOff
from akri.platforms.kubernetes import decoding, patches
from akri.platforms.kubernetes.answers import Answer, Next, judge
from akri.platforms.kubernetes.api_errors import ApiStatusError
from akri.platforms.kubernetes.client import ApiClient
from akri.platforms.kubernetes.patches import Request
from akri.platforms.kubernetes.resources import INSTANCES
from akri.platforms.writes import Decide, Delete, Keep, Write
from akri.ports import Clock, Done, Outcome, Refusal, Refused, Unknown

__all__ = ["AGENT", "InstanceWrites", "Plan"]

AGENT: Final = "akri-agent"
"""The field manager of all agents, so that none owns a field against the others."""
_WITHIN: Final = 4.0
"""Seconds in which a write that is refused for no lasting reason is tried again."""
_ALTOGETHER: Final = 8.0
"""Seconds after which no answer is waited for; who waits for a claim gives up after ten."""
_REQUEST: Final = 4.0
_SHORTEST: Final = 0.5
_BUSY: Final = frozenset({429, 503})
"""The server takes nothing; the client has tried for long enough."""
_BACK_OFF: Final = BackOff(first=0.02, most=0.5, jitter=0.5)

Plan: TypeAlias = Callable[[Instance, Instance], Request]
"""Gives the request that brings a stored Instance, the first, to the state that was decided for it."""


@frozen
class _Trouble:
    """The server refused a request: what that means, and what it said."""

    answer: Answer
    message: str
    busy: bool = False


@define(eq=False)
class _Course:
    """One write on its way. stored: the state that `request` was planned on, None before any was read. started: by the clock."""

    key: ObjectKey
    decide: Decide
    plan: Plan
    request: Request | None
    started: float
    stored: Instance | None = None

    def take(self, found: Instance | None) -> Outcome | None:
        """Decide on the present state: the outcome, or None where a request is to be sent."""
        self.stored = found
        decision = self.decide(found)
        match decision:
            case Refused():
                return decision
            case Keep(instance):
                return Done(instance)
            case Delete():
                self.request = None if found is None else patches.delete(found)
                return Done(None) if found is None else None
            case Write(target):
                if target == found:
                    return Done(found)
                # Only a creation is decided where there is nothing; its first request is still the right one.
                self.request = self.request if found is None else self.plan(found, target)
                return None
        assert_never(decision)

    def unchanged(self, found: Instance | None) -> bool:
        """Whether the request was planned on the very state that is there now, so that no other write can be why it was refused."""
        return found is not None and self.stored is not None and found.metadata == self.stored.metadata


class InstanceWrites:
    """Carries out writes to Instances under one field manager."""

    def __init__(self, client: ApiClient, clock: Clock, manager: str = AGENT) -> None:
        """Take the client that speaks for whoever writes."""
        self._client = client
        self._clock = clock
        self._parameters = {"fieldManager": manager}

    async def read(self, key: ObjectKey, seconds: float = _REQUEST) -> Instance | None:
        """Read the present state; None if there is none. Raises OutcomeUnknownError, after so many seconds at most."""
        try:
            return decoding.instance(await self._client.request("GET", INSTANCES.object(key), seconds=seconds))
        except ApiStatusError as error:
            if error.status == 404:
                return None
            raise OutcomeUnknownError(str(error)) from error
        except InvalidDocumentError as error:
            raise OutcomeUnknownError(str(error)) from error

    async def carry_out(self, key: ObjectKey, decide: Decide, plan: Plan, first: Request | None = None) -> Outcome:
        """Carry out a write.

        first: what to send before anything was read. Without it, and wherever it is refused for a reason that the state tells,
        the Instance is read, `decide` is asked, and `plan` gives the request for what it wants.
        """
        course = _Course(key, decide, plan, first, self._clock.now())
        trouble = _Trouble(Next.READ, "") if first is None else None
        attempt = 0
        while True:
            tried = await self._try(course, trouble)
            if not isinstance(tried, _Trouble):
                return tried
            trouble = tried
            attempt += 1
            if self._clock.now() >= course.started + _WITHIN or trouble.busy:
                return await self._give_up(course, trouble)
            # Looking why a write was refused needs no pause; a second race in a row does.
            pause = 0.0 if trouble.answer is Next.READ and attempt == 1 else _BACK_OFF.seconds(attempt, self._clock.random())
            await self._clock.sleep(pause)

    async def _try(self, course: _Course, trouble: _Trouble | None) -> Outcome | _Trouble:
        if trouble is not None and trouble.answer is Next.READ:
            outcome = await self._look(course, trouble)
            if outcome is not None:
                return outcome
        answer = await self._send(course)
        match answer:
            case _Trouble(answer=Refusal() as refusal, message=message):
                return Refused(refusal, message)
            case _Trouble(answer=Next.GONE, message=message):
                return course.take(None) or Refused(Refusal.MISSING, message)
            case _:
                return answer

    async def _look(self, course: _Course, trouble: _Trouble) -> Outcome | None:
        try:
            found = await self.read(course.key, self._left(course))
        except OutcomeUnknownError as error:
            return Unknown(f"{trouble.message}; then: {error}" if trouble.message else str(error))
        if course.unchanged(found):
            return Refused(Refusal.INVALID, trouble.message, found)
        return course.take(found)

    async def _give_up(self, course: _Course, trouble: _Trouble) -> Outcome:
        """Each try was refused, and nothing was changed by any."""
        if trouble.busy:
            return Unknown(trouble.message)
        try:
            return Refused(Refusal.CONFLICT, trouble.message, await self.read(course.key, self._left(course)))
        except OutcomeUnknownError as error:
            return Unknown(f"{trouble.message}; then: {error}")

    async def _send(self, course: _Course) -> Done | Unknown | _Trouble:
        request = course.request
        assert request is not None  # noqa: S101 - `take` left one, or gave an outcome
        path = INSTANCES.collection(course.key.namespace) if request.method == "POST" else INSTANCES.object(course.key)
        try:
            answer = await self._client.request(
                request.method,
                path,
                body=request.body,
                content_type=request.content_type,
                parameters=self._parameters,
                seconds=self._left(course),
            )
            return _done(answer)
        except ApiStatusError as error:
            return _Trouble(judge(request.method, error.status, error.reason), str(error), error.status in _BUSY)
        except (OutcomeUnknownError, InvalidDocumentError) as error:
            return Unknown(str(error))

    def _left(self, course: _Course) -> float:
        return min(_REQUEST, max(_SHORTEST, course.started + _ALTOGETHER - self._clock.now()))


def _done(answer: JsonObject) -> Done:
    """Read the answer to a write that took effect. A deletion answers with a Status; with the object where finalizers hold it."""
    return Done(None if answer.get("kind") == "Status" else decoding.instance(answer))
