"""Runs a claim storm on an API server and gathers what there is to judge: what the agents saw, and what the server logged.

By hand, on an API server of its own: `python -m tests.integration.kubernetes.storm_run [ATTEMPTS] [SEED]`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from random import Random

from attrs import frozen

from akri.core.codec import print_configuration
from tests.cluster import build, states
from tests.cluster.admin import Manifest
from tests.cluster.api_server import ApiServer
from tests.cluster.audit import SlotAudit, audit_slots, read_log
from tests.cluster.processes import eventually
from tests.cluster.proxy import FaultyProxy
from tests.cluster.proxy_faults import (
    Answer,
    AtRandom,
    Chance,
    CutWatch,
    Delay,
    DropAnswer,
    DropRequest,
    ExpireWatch,
    Fault,
    HoldWatch,
    Late,
)
from tests.guards.tree import ROOT
from tests.integration.kubernetes.storm import CONFIGURATION, NODES, Storm, configuration, storm

__all__ = ["Result", "prepared", "run_storm", "weather"]

_COLLECTION = f"/apis/akri.sh/v0/namespaces/{CONFIGURATION.namespace}"
_SETTLING = 120.0


@frozen
class Result:
    """What a storm came to. faults: what befell requests, by verb and kind. late: requests that arrived late and took effect.

    lacking: what did not happen in the storm, though it should have; in words.
    """

    storm: Storm
    audit: SlotAudit
    faults: Counter[str]
    late: int
    lacking: Sequence[str]
    usage: dict[str, str]
    seconds: float

    def report(self) -> str:
        """All of it in lines."""
        groups = (self.storm.seen, self.faults, self.audit.requests, {"late and took effect": self.late})
        lines = [f"{count:>9,} {what}" for group in groups for what, count in sorted(group.items(), key=str)]
        claims, releases = self.audit.claims.total(), self.audit.releases.total()
        took = f"requests {dict(self.storm.requests)}, writes {dict(self.storm.writes)}"
        summary = f"{claims} claims and {releases} releases in {self.audit.states} states; per claim {took}; {self.seconds:.0f} s"
        return "\n".join([*lines, summary, *self.lacking, *self.audit.violations[:10], ""])


def weather(seed: int) -> AtRandom:
    """Bad weather: about every fifth write, every tenth read and most watches meet a fault."""

    def late(random: Random) -> Late:
        return Late(random.uniform(0.01, 1.5), silence=random.choice((0.0, 0.0, 0.5)))

    def soon(random: Random) -> int:
        return random.randrange(20, 400)

    writes: dict[Fault, float] = {
        DropAnswer(): 0.03,
        DropAnswer(half=True): 0.01,
        DropAnswer(silence=1.0): 0.01,
        DropRequest(): 0.02,
        DropRequest(1.0): 0.01,
        Answer(500, took_effect=True): 0.01,
        Answer(504, took_effect=True): 0.01,
        Answer(500): 0.01,
        Answer(429, retry_after=1): 0.01,
    }
    reads: dict[Fault, float] = {
        DropAnswer(): 0.03,
        DropAnswer(half=True): 0.02,
        Answer(500): 0.02,
        Answer(503, retry_after=1): 0.01,
        Delay(0.1, 0.1): 0.02,
    }
    return AtRandom(
        seed,
        (
            *(Chance(probability, fault, "patch", "instances") for fault, probability in writes.items()),
            Chance(0.05, late, "patch", "instances"),
            Chance(0.05, lambda random: Delay(random.uniform(0, 0.3), random.uniform(0, 0.3)), "patch", "instances"),
            *(Chance(probability, fault, "get", "instances") for fault, probability in reads.items()),
            Chance(0.3, lambda random: CutWatch(soon(random), in_line=random.random() < 0.5), "watch", "instances"),
            Chance(0.2, lambda random: HoldWatch(soon(random), seconds=random.uniform(0.5, 5.0)), "watch", "instances"),
            Chance(0.2, lambda random: ExpireWatch(soon(random)), "watch", "instances"),
            Chance(0.05, Answer(410), "watch", "instances"),
            Chance(0.05, Answer(503), "list", "instances"),
        ),
    )


def _lacking(one: Storm, faults: AtRandom | None, proxy: FaultyProxy) -> list[str]:
    """What must happen before a storm has shown anything: each node took a slot; in bad weather, all that goes wrong in it did."""
    lacking = [f"{name} took no slot" for name in NODES if not one.granted[name]]
    if faults is not None:
        expected = {f"{chance.verb} met {_kind(chance, faults)}" for chance in faults.chances}
        lacking += [f"no {what}" for what in sorted(expected - _met(proxy).keys())]
        lacking += [f"nothing was {what}" for what in ("granted without a write", "deleted by force") if not one.seen[what]]
        lacking += [] if _late(proxy) else ["no late request took effect"]
        lacking += [] if one.seen["agent died"] or not one.deaths else ["no agent died"]
    return lacking


def _kind(chance: Chance, faults: AtRandom) -> str:
    fault = chance.fault(Random(faults.seed)) if callable(chance.fault) else chance.fault
    return type(fault).__name__


def _met(proxy: FaultyProxy) -> Counter[str]:
    return Counter(f"{one.call.verb} met {type(one.fault).__name__}" for one in proxy.happened)


def _late(proxy: FaultyProxy) -> int:
    return sum(1 for one in proxy.happened if isinstance(one.fault, Late) and one.status == 200)


async def run_storm(
    server: ApiServer,
    attempts: int,
    *,
    faults: AtRandom | None,
    speed: float,
    seed: int,
    seconds: float = inf,
    more: float = 0.0,
    hold: float = 0.1,
    deaths: float = 0.0,
    pause: float = 0.0,
) -> Result:
    """Run one storm of so many attempts, or seconds, and up to `more` seconds until all has happened that should.

    It installs deploy/; no other Configurations and Instances may be there.
    """
    began, offset = time.monotonic(), server.audit_log.stat().st_size
    async with server.admin() as admin, FaultyProxy(server.url, ca_file=server.ca_file, random=faults) as proxy:
        await admin.install(ROOT / "deploy")
        tokens = [await admin.token_for("akri-agent", "akri", node=name, seconds=12 * 3600) for name in NODES]
        await admin.request("POST", f"{_COLLECTION}/configurations", print_configuration(configuration()))
        async with storm(proxy.url, tokens, speed=speed, seed=seed, hold=hold, deaths=deaths, pause=pause) as one:
            await one.ready(_SETTLING)
            await one.run(attempts, seconds, lacking=partial(_lacking, one, faults, proxy), more=more)
            lacking = _lacking(one, faults, proxy)
            if faults is not None:
                faults.active = False
            await proxy.settle()
            await one.calm(_SETTLING)
        found = (await admin.list(f"{_COLLECTION}/instances"))[0]
        await _logged(server, offset, found)
        audit = audit_slots(read_log(server.audit_log, offset=offset), CONFIGURATION.namespace, found["metadata"]["name"])
        await admin.delete(f"{_COLLECTION}/instances/{found['metadata']['name']}")
        await admin.delete(f"{_COLLECTION}/configurations/{CONFIGURATION.name}")
        return Result(one, audit, _met(proxy), _late(proxy), lacking, found["spec"]["deviceUsage"], time.monotonic() - began)


async def _logged(server: ApiServer, offset: int, last: Manifest) -> None:
    """Wait until the log, which is written after the answers, has the last state."""

    async def there() -> bool:
        audit = audit_slots(read_log(server.audit_log, offset=offset), CONFIGURATION.namespace, last["metadata"]["name"])
        return audit.usage == dict(last["spec"]["deviceUsage"])

    await eventually(there, seconds=30, what="the audit log to be complete", every=1.0)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@asynccontextmanager
async def prepared() -> AsyncGenerator[ApiServer]:
    """An API server for programs that are run by hand."""
    program = build.program(_say)
    await states.clean_stale()
    with states.run_folder() as state:
        try:
            server = ApiServer(program, state)
            await server.start()
            yield server
        finally:
            await states.clean(state)


async def main(attempts: int = 50_000, seed: int = 1) -> None:
    """Run by hand."""
    async with prepared() as server:
        logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s")
        quiet = await run_storm(server, attempts // 20, faults=None, speed=2.0, seed=seed, pause=2.0)
        sys.stdout.write(f"without faults\n{quiet.report()}\n")
        hungry = await run_storm(server, attempts // 20, faults=None, speed=2.0, seed=seed)
        sys.stdout.write(f"without faults, each node takes what it can get\n{hungry.report()}\n")
        rough = await run_storm(server, attempts, faults=weather(seed), speed=3.0, seed=seed, deaths=0.002)
        sys.stdout.write(f"with faults\n{rough.report()}\n")


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in sys.argv[1:])))
