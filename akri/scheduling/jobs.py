"""The broker job of one Instance: one, made anew only if what it is made from changed, or if the node's admission refused it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from akri.core.configuration import Configuration, JobBroker
from akri.core.reports import Reason
from akri.scheduling.model import BrokerJob, CreateJob, DeleteJob
from akri.scheduling.pods import next_attempt, retry_at
from akri.scheduling.render import WHY, Hashes, create_job
from akri.scheduling.subject import NEVER, Subject
from akri.scheduling.timing import Timing

__all__ = ["JobsDecision", "decide_jobs", "delete_jobs", "rejected"]


@frozen(eq=False)
class JobsDecision:
    """What to do about the jobs of one Instance; `due` is when to look again."""

    actions: tuple[CreateJob | DeleteJob, ...] = ()
    due: float = NEVER


def rejected(job: BrokerJob) -> bool:
    """Tell whether a job failed because a node refused its pods, not because the program failed: that is not the user's to decide."""
    return job.failed and (job.reason == "UnexpectedAdmissionError" or job.reason.startswith("OutOf"))


def delete_jobs(jobs: Iterable[BrokerJob], reason: Reason, why: str) -> tuple[DeleteJob, ...]:
    """Delete all these jobs, but for those that are on their way out or not seen yet."""
    removable = (job for job in jobs if job.uid and not job.deleting)
    return tuple(DeleteJob(job.key, job.uid, reason, f"broker job {job.key} is removed: {why}") for job in removable)


def decide_jobs(subject: Subject, configuration: Configuration, broker: JobBroker, hashes: Hashes) -> JobsDecision:
    """Decide whether the job stays, goes or comes. The next one comes when the last one is gone, for it may hold the device."""
    if not subject.jobs:
        attempt = next((_attempt(job, hashes, subject.timing) for job in subject.former_jobs), 0)
        return JobsDecision((create_job(subject.instance, configuration, broker, hashes, attempt),))
    current = sorted((job for job in subject.jobs if hashes.cause(job.spec_hash) is None), key=_age)
    outdated = [job for job in subject.jobs if hashes.cause(job.spec_hash) is not None]
    actions = [action for job in outdated if (cause := hashes.cause(job.spec_hash)) for action in delete_jobs((job,), cause, WHY[cause])]
    actions.extend(delete_jobs(current[1:], Reason.BROKER_REMOVED, "the device has an older one"))
    if not current or not rejected(current[0]):
        return JobsDecision(tuple(actions))
    job = current[0]
    at = retry_at(job, subject.timing)
    if at > subject.now:
        return JobsDecision(tuple(actions), at)
    why = f"it was refused by the node ({job.reason}), a new one follows as attempt {next_attempt(job, subject.timing)}"
    return JobsDecision((*actions, *delete_jobs((job,), Reason.BROKER_FAILED, why)))


def _age(job: BrokerJob) -> tuple[bool, float, str]:
    return job.deleting, job.created, job.key.name


def _attempt(former: BrokerJob, hashes: Hashes, timing: Timing) -> int:
    return next_attempt(former, timing) if rejected(former) and former.spec_hash == str(hashes) else 0
