"""Jobs: what they need next, and that their runner does it."""

from __future__ import annotations

import asyncio
from functools import partial

from attrs import evolve

from akri.core.ids import ConfigurationName, NodeName, ObjectKey
from akri.core.instance import Instance
from akri.core.metadata import Json, JsonObject, ObjectMeta, OwnerReference
from akri.core.reports import Reason
from akri.platforms.local.job_steps import EndPods, Finish, Rest, StartPod, next_step
from akri.platforms.local.jobs import JobRunner
from akri.platforms.local.memory import MemoryStore
from akri.platforms.local.objects import Job, Pod
from akri.scheduling.model import CreateJob, Phase
from akri.testing.clock import VirtualClock

KEY = ObjectKey("default", "cam-8120fe-1-job")
INSTANCE = ObjectKey("default", "cam-8120fe")


def _job(**spec: Json) -> Job:
    return Job(ObjectMeta(KEY, uid="job", created=50.0), spec, INSTANCE)


def _pods(*phases: Phase, finished: float = 100.0) -> list[Pod]:
    return [Pod(ObjectMeta(ObjectKey("default", f"p{index}")), {}, phase=phase, finished=finished) for index, phase in enumerate(phases)]


def test_a_job_starts_one_pod_and_waits_for_it() -> None:
    assert next_step(_job(), [], 0) == StartPod(0)
    assert next_step(_job(), _pods(Phase.PENDING), 0) == Rest()
    assert next_step(_job(), _pods(Phase.FAILED, Phase.RUNNING), 500) == Rest()


def test_a_job_is_complete_with_its_first_success() -> None:
    assert next_step(_job(backoffLimit=0), _pods(Phase.FAILED, Phase.SUCCEEDED), 0) == Finish()
    for over in (evolve(_job(), complete=True), evolve(_job(), failed=True)):
        assert next_step(over, [], 0) == Rest()


def test_a_failed_pod_is_followed_by_another_after_a_wait_that_doubles_up_to_a_ceiling() -> None:
    waits = [next_step(_job(backoffLimit=20), _pods(*[Phase.FAILED] * count), 100.0) for count in range(1, 9)]
    assert waits == [Rest(seconds) for seconds in (10, 20, 40, 80, 160, 320, 360, 360)]
    assert next_step(_job(), _pods(Phase.FAILED), 110.0) == StartPod(1)
    assert next_step(_job(), _pods(Phase.FAILED), 109.0) == Rest(1.0)


def test_too_many_failures_fail_the_job() -> None:
    assert next_step(_job(backoffLimit=0), _pods(Phase.FAILED), 0) == Finish("BackoffLimitExceeded")
    assert next_step(_job(), _pods(*[Phase.FAILED] * 6), 0) == Rest(100 + 320)
    assert next_step(_job(), _pods(*[Phase.FAILED] * 7), 0) == Finish("BackoffLimitExceeded")


def _active(*pods: Pod) -> EndPods:
    return EndPods(tuple(pod.metadata.key for pod in pods))


def test_several_completions_run_so_many_at_a_time() -> None:
    job = _job(completions=3, parallelism=2)
    assert next_step(job, [], 0) == StartPod(0)
    assert next_step(job, _pods(Phase.RUNNING), 0) == StartPod(1)
    assert next_step(job, _pods(Phase.RUNNING, Phase.PENDING), 0) == Rest()
    assert next_step(job, _pods(Phase.SUCCEEDED, Phase.RUNNING), 0) == StartPod(2)
    assert next_step(job, _pods(Phase.SUCCEEDED, Phase.SUCCEEDED, Phase.RUNNING), 0) == Rest()
    assert next_step(job, _pods(*[Phase.SUCCEEDED] * 3), 0) == Finish()
    assert next_step(_job(parallelism=0), [], 0) == Rest()


def test_without_completions_the_first_success_ends_the_work_and_all_must_end() -> None:
    job = _job(parallelism=3)
    assert next_step(job, _pods(Phase.RUNNING, Phase.RUNNING), 0) == StartPod(2)
    assert next_step(job, _pods(Phase.SUCCEEDED, Phase.RUNNING), 0) == Rest()
    assert next_step(job, _pods(Phase.SUCCEEDED, Phase.FAILED), 0) == Finish()


def test_the_pods_of_a_job_that_is_over_or_suspended_are_ended_once() -> None:
    pods = _pods(Phase.RUNNING, Phase.FAILED, Phase.PENDING)
    for job in (evolve(_job(), failed=True), evolve(_job(), complete=True), _job(suspend=True)):
        assert next_step(job, pods, 0) == _active(pods[0], pods[2])
        ending = [evolve(pod, metadata=evolve(pod.metadata, deleting=True)) for pod in pods]
        assert next_step(job, ending, 0) == Rest()
    assert next_step(_job(suspend=False), [], 0) == StartPod(0)
    assert next_step(_job(completions=5, parallelism=1), _pods(Phase.RUNNING, Phase.RUNNING), 0) == _active(
        _pods(Phase.RUNNING, Phase.RUNNING)[1]
    )


def test_a_job_that_takes_too_long_fails_and_one_that_may_looks_again_in_time() -> None:
    job = _job(activeDeadlineSeconds=30)
    assert next_step(job, _pods(Phase.RUNNING), 60.0) == Rest(20.0)
    assert next_step(job, _pods(Phase.FAILED), 60.0) == Rest(20.0)
    assert next_step(job, _pods(Phase.RUNNING), 80.0) == Finish("DeadlineExceeded", "it was active for more than 30 s")


def test_failures_before_a_success_do_not_lengthen_the_wait() -> None:
    failed, succeeded = _pods(*[Phase.FAILED] * 3, finished=10.0), _pods(Phase.SUCCEEDED, finished=20.0)
    last = _pods(Phase.FAILED, finished=100.0)
    assert next_step(_job(completions=2), [*failed, *succeeded, *last], 100.0) == Rest(10.0)


def test_a_job_that_cannot_be_honoured_fails_with_a_message() -> None:
    step = next_step(_job(completionMode="Indexed"), [], 0)
    assert isinstance(step, Finish)
    assert step.reason == "SpecRefused"
    assert step.message.startswith("spec.completionMode: Indexed is refused on this platform")


def test_no_name_is_given_twice() -> None:
    pods = [Pod(ObjectMeta(ObjectKey("default", f"{KEY.name}-{number}")), {}, phase=Phase.FAILED, finished=1.0) for number in (1, 3)]
    assert next_step(_job(), pods, 500.0) == StartPod(2)
    assert next_step(_job(), pods[:1], 500.0) == StartPod(2)


async def test_the_runner_makes_pods_until_one_succeeds() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    await store.register_node(NodeName("node-a"))
    spec: JsonObject = {
        "backoffLimit": 3,
        "completions": 1,
        "ttlSecondsAfterFinished": 5,
        "template": {"metadata": {"labels": {"akri.sh/instance": "cam-8120fe"}}, "spec": {"containers": []}},
    }
    task = asyncio.create_task(JobRunner(store, clock=clock).run())
    stored = await _stored_job(store, spec)
    await clock.settle()
    [first] = list(store.pods)
    assert (first.metadata.key.name, first.node, first.instance) == (f"{KEY.name}-0", "node-a", INSTANCE)
    assert first.metadata.labels == {"akri.sh/instance": "cam-8120fe"}
    assert first.metadata.owners == (OwnerReference("batch/v1", "Job", KEY.name, stored.metadata.uid, controller=True),)
    await store.change_pod(first, partial(evolve, phase=Phase.FAILED, finished=clock.wall()))
    await clock.advance(9)
    assert [pod.metadata.uid for pod in store.pods] == [first.metadata.uid]
    await clock.advance(2)
    _, second = list(store.pods)
    assert second.metadata.key.name == f"{KEY.name}-1"
    await store.change_pod(second, partial(evolve, phase=Phase.SUCCEEDED, finished=clock.wall()))
    await clock.settle()
    [job] = list(store.jobs)
    assert (job.complete, job.failed) == (True, False)
    assert [event.message for event in store.events if event.reason is Reason.FIELD_IGNORED] == [
        f"spec.ttlSecondsAfterFinished of Job {KEY.name} is not honoured on this platform"
    ]
    task.cancel()
    await asyncio.wait({task})


async def _stored_job(store: MemoryStore, spec: JsonObject) -> Job:
    instance = await store.put_instance(Instance(ObjectMeta(INSTANCE), ConfigurationName("cam"), "", 1, nodes=(NodeName("node-a"),)))
    owner = OwnerReference("akri.sh/v0", "Instance", instance.name, instance.metadata.uid, controller=True)
    await store.cluster().execute(CreateJob(KEY, INSTANCE, owner, {}, {}, spec))
    return store.jobs[0]


async def test_a_job_of_an_instance_that_is_gone_does_not_stay() -> None:
    store = MemoryStore(VirtualClock())
    await store.cluster().execute(CreateJob(KEY, INSTANCE, OwnerReference("akri.sh/v0", "Instance", INSTANCE.name, "gone"), {}, {}, {}))
    assert store.jobs == ()
