"""Jobs whose pods every node refused, and how a watch of jobs comes to say so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from attrs import evolve

from akri.core.errors import OutcomeUnknownError
from akri.core.ids import ObjectKey
from akri.core.metadata import Json, JsonObject
from akri.platforms.kubernetes.job_refusals import explained, reasons
from akri.ports import Alive, Gone, Put, Reset, WatchEvent
from akri.scheduling.model import BrokerJob

NAMES = ("one", "two", "three")
ONE, TWO, THREE = (
    BrokerJob(ObjectKey("default", name), f"uid-{name}", ObjectKey("default", "cam-8120fe"), failed=True, reason="BackoffLimitExceeded")
    for name in NAMES
)
REFUSED = "UnexpectedAdmissionError"


def _pod(job: BrokerJob, reason: str = REFUSED) -> JsonObject:
    owners: list[Json] = [{"kind": "Job", "name": job.key.name, "uid": job.uid, "controller": True}]
    return {"metadata": {"name": f"{job.key.name}-x", "ownerReferences": owners}, "status": {"phase": "Failed", "reason": reason}}


class _Server:
    """Answers with these pods, or not at all while `away`."""

    def __init__(self, *pods: JsonObject) -> None:
        self.pods = pods
        self.away = 0
        self.asked: list[tuple[str, ...]] = []

    async def fetch(self, jobs: Sequence[BrokerJob]) -> Sequence[JsonObject]:
        self.asked.append(tuple(job.key.name for job in jobs))
        if self.away:
            self.away -= 1
            message = "the server is away"
            raise OutcomeUnknownError(message)
        return self.pods


async def _seen(server: _Server, *events: WatchEvent[BrokerJob]) -> list[WatchEvent[BrokerJob]]:
    async def watch() -> AsyncGenerator[WatchEvent[BrokerJob]]:
        for event in events:
            yield event

    return [event async for event in explained(watch(), server.fetch)]


def _refused(job: BrokerJob) -> BrokerJob:
    return evolve(job, reason=REFUSED)


def test_each_job_has_the_reason_of_its_own_pods() -> None:
    failed: JsonObject = {**_pod(TWO), "status": {"phase": "Failed"}}

    assert reasons([ONE, TWO, THREE], [_pod(ONE), failed, _pod(TWO)]) == {ONE.uid: REFUSED, TWO.uid: "", THREE.uid: ""}


async def test_a_job_that_was_refused_follows_once_more_with_the_reason() -> None:
    server = _Server(_pod(ONE))
    running = evolve(ONE, failed=False, reason="")

    seen = await _seen(server, Reset(()), Put(running), Put(ONE), Alive(), Put(evolve(ONE, attempt=1)), Reset((ONE,)), Alive())

    later = _refused(evolve(ONE, attempt=1))
    assert seen == [Reset(()), Put(running), Put(ONE), Put(_refused(ONE)), Alive(), Put(later), Reset((_refused(ONE),)), Alive()]
    assert server.asked == [("one",)]


async def test_a_job_whose_program_failed_is_asked_about_once_and_stays_as_it_is() -> None:
    server = _Server()

    assert await _seen(server, Reset((ONE,)), Alive(), Reset((ONE,))) == [Reset((ONE,)), Alive(), Reset((ONE,))]
    assert server.asked == [("one",)]


async def test_many_jobs_cost_one_request() -> None:
    server = _Server(_pod(ONE), _pod(THREE))

    seen = await _seen(server, Reset((ONE, TWO, THREE)))

    assert seen == [Reset((ONE, TWO, THREE)), Put(_refused(ONE)), Put(_refused(THREE))]
    assert server.asked == [NAMES]


async def test_while_the_server_is_away_jobs_are_told_and_the_reason_comes_later() -> None:
    server = _Server(_pod(ONE), _pod(TWO))
    server.away = 2

    seen = await _seen(server, Put(ONE), Put(TWO), Alive(), Alive())

    assert seen == [Put(ONE), Put(TWO), Alive(), Put(_refused(ONE)), Put(_refused(TWO)), Alive()]
    assert server.asked == [("one",), ("one", "two"), ("one", "two")]


async def test_nobody_asks_about_jobs_that_are_gone_or_on_their_way() -> None:
    server = _Server(_pod(ONE))
    server.away = 1
    leaving = evolve(TWO, deleting=True)

    assert await _seen(server, Put(leaving), Put(ONE), Gone(ONE.key, ONE.uid, 9), Alive()) == [
        Put(leaving),
        Put(ONE),
        Gone(ONE.key, ONE.uid, 9),
        Alive(),
    ]
    assert server.asked == [("one",)]


async def test_a_job_made_again_under_its_name_is_another_one() -> None:
    again = evolve(ONE, uid="uid-again")
    server = _Server(_pod(ONE))

    seen = await _seen(server, Put(ONE), Put(again))

    assert seen == [Put(ONE), Put(_refused(ONE)), Put(again)]
    assert server.asked == [("one",), ("one",)]
