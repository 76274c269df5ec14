"""What the checks share: the handler, the questions, the agent's socket, and one stream that stays open all the time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from attrs import define, evolve, field

from akri.discovery.conformance.asking import Ask, Stream, asking
from akri.discovery.conformance.plan import Plan
from akri.discovery.conformance.subject import Subject
from akri.discovery.snapshot import Snapshot
from akri.discovery.wire import Question

__all__ = ["Bench", "NotTriedError"]


class NotTriedError(Exception):
    """A rule cannot be tried; the text says why."""


@define(eq=False)
class Bench:
    """One test of one handler. watcher: the stream that stays open, None before there is an endpoint."""

    subject: Subject
    plan: Plan
    watcher: Stream | None = None
    _others: list[Stream] = field(factory=list[Stream])

    @property
    def ask(self) -> Ask:
        """How to ask it. Raises NotTriedError as long as nobody knows where it listens."""
        endpoint = self.subject.endpoint
        if endpoint is None:
            message = "it did not register, so nobody knows where it listens"
            raise NotTriedError(message)
        return Ask(endpoint, self.plan.tls)

    @property
    def watched(self) -> Stream:
        """The stream that stays open. Raises NotTriedError if it has no answer."""
        if self.watcher is None or not self.watcher.answers:
            message = "there was no first answer"
            raise NotTriedError(message)
        return self.watcher

    @property
    def answers(self) -> tuple[Snapshot, ...]:
        """Every answer to good details so far."""
        return tuple(answer for stream in (self.watched, *self._others) for answer in stream.answers)

    @property
    def of_devices(self) -> tuple[Snapshot, ...]:
        """The same. Raises NotTriedError if there is no device in them, for then they tell nothing."""
        found = self.answers
        if not any(answer.devices or answer.problems for answer in found):
            message = "the good details found no device"
            raise NotTriedError(message)
        return found

    def question(self, details: str) -> Question:
        """Ask for other details, with the same properties."""
        return evolve(self.plan.question, details=details)

    def asking(self, question: Question | None = None) -> AbstractAsyncContextManager[Stream]:
        """Ask while the block lasts, the good question if no other is given."""
        return self._asking(question or self.plan.question, good=question is None)

    @asynccontextmanager
    async def _asking(self, question: Question, *, good: bool) -> AsyncGenerator[Stream]:
        async with asking(self.ask, question) as stream:
            if good:
                self._others.append(stream)
            yield stream

    async def answered(self, question: Question | None = None) -> str:
        """Ask once more; say what came instead of an answer, "" for an answer."""
        async with self.asking(question) as stream:
            if await stream.until(lambda stream: bool(stream.answers), self.plan.patience):
                return ""
            return f"{stream.state()} within {self.plan.patience:g} s"

    async def first(self) -> Snapshot:
        """Give the first answer of a new stream. Raises NotTriedError if none comes."""
        async with self.asking() as stream:
            if not await stream.until(lambda stream: bool(stream.answers), self.plan.patience):
                message = f"a new stream was not answered: {stream.state()}"
                raise NotTriedError(message)
            return stream.answers[0]
