"""Run slides on the machines of a Ray cluster, which share the folders of the slides and the outputs.

Ray places the workers, restarts those whose machine is lost, and carries what they report. What is done is
known from the states beside the outputs, so that a slide whose machine is lost is resumed on another.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import CohortJob, Listener, LostRunnerError, Outcome, open_slide_runner
from glandseg.cohort.slide_state import FAILED, read_slide_state, write_slide_state
from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError, EnvironmentLacksError

LOCAL = "local"
CPUS_PER_WORKER = 2
ANSWER_S = 10.0
ROOM_S = 60.0  # to find room for a worker in place of a lost one
RELEASE_S = 20.0  # for a lost process to release its slide
LOSSES = 3  # of machines under a slide, after which it counts as failed
_POLL_S = 0.5
_TWO_AT_A_TIME = 2  # a slide, and the question what it reports


class RayWorker:
    """Runs slides in an actor of a Ray cluster.

    Args:
        job: What to do with each slide.
        resources: CPUs, GPUs and memory of the actor.
    """

    def __init__(self, job: CohortJob, resources: dict[str, float]) -> None:
        self._job, self._resources, self._is_stopped = job, resources, False
        self._actor = self._start()

    def run(self, slide: CohortSlide, listener: Listener) -> Outcome:
        """Run a slide unless it is settled or another process works on it; again if its machine is lost."""
        import ray

        slide = _make_absolute(slide)
        losses = 0
        while losses < LOSSES and not self._is_stopped:
            with contextlib.suppress(ray.exceptions.RayActorError):
                return self._run_once_released(slide, listener)
            losses += 1
            if not self._is_stopped:
                listener.warn(slide.path.name, "its machine or process was lost; it is resumed elsewhere")
                self._restart()
        return self._give_up(slide, listener)

    def stop(self) -> None:
        """End the actor; what it has finished of a slide is kept."""
        import ray

        self._is_stopped = True
        ray.kill(self._actor)

    def _start(self) -> Any:
        import ray

        actor = ray.remote(max_concurrency=_TWO_AT_A_TIME, **self._resources)(_Actor)
        return actor.remote(self._job)

    def _restart(self) -> None:
        """Start an actor in place of the lost one.

        Raises:
            LostRunnerError: The cluster has no room for it any more.
        """
        import ray

        self._actor = self._start()
        ready, _ = ray.wait([self._actor.collect.remote()], timeout=ROOM_S)
        if not ready:
            ray.kill(self._actor)
            raise LostRunnerError("a worker of the Ray cluster is lost, and there is no room for another")

    def _run_once_released(self, slide: CohortSlide, listener: Listener) -> Outcome:
        """Run a slide, again while it is claimed: a lost process may hold it until it notices that it is."""
        end = time.monotonic() + RELEASE_S
        while True:
            outcome = self._follow(self._actor.run.remote(slide), listener)
            if not outcome.is_busy or self._is_stopped or time.monotonic() > end:
                return outcome
            time.sleep(_POLL_S)

    def _follow(self, running: Any, listener: Listener) -> Outcome:
        import ray

        while True:
            ended, _ = ray.wait([running], timeout=_POLL_S)
            for kind, *values in ray.get(self._actor.collect.remote()):
                getattr(listener, kind)(*values)
            if ended:
                outcome: Outcome = ray.get(running)
                return outcome

    def _give_up(self, slide: CohortSlide, listener: Listener) -> Outcome:
        state = read_slide_state(slide)
        if state is None or self._is_stopped:
            return Outcome(slide=slide, state=state, is_new=False)
        reason = f"its machine or process was lost {LOSSES} times. Run it alone to see why."
        state = replace(state, state=FAILED, exit_code=EnvironmentLacksError.exit_code, reason=reason)
        write_slide_state(slide, state)
        listener.fail(slide.path.name, reason)
        return Outcome(slide=slide, state=state, is_new=True)


class _Actor:
    """What runs on the cluster: a model, and slides one after the other."""

    def __init__(self, job: CohortJob) -> None:
        self._opened = contextlib.ExitStack()
        self._runner = self._opened.enter_context(open_slide_runner(job, lambda text: None))
        self._reports: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

    def run(self, slide: CohortSlide) -> Outcome:
        """Run a slide."""
        return self._runner.run(slide, self)

    def warn(self, slide: str, text: str) -> None:
        """Keep a warning to be collected."""
        self._reports.put(("warn", slide, text))

    def fail(self, slide: str, reason: str) -> None:
        """Keep the reason of a failure to be collected."""
        self._reports.put(("fail", slide, reason))

    def advance(self, slide: str, done: int, total: int) -> None:
        """Keep the progress to be collected."""
        self._reports.put(("advance", slide, done, total))

    def collect(self) -> list[tuple[Any, ...]]:
        """Return what was reported since the last call."""
        return [self._reports.get() for _ in range(self._reports.qsize())]


@contextlib.contextmanager
def start_ray_workers(
    job: CohortJob, address: str, workers: str, slides: int, say: Say
) -> Iterator[Sequence[RayWorker]]:
    """Start workers on a Ray cluster: one for each GPU, or for each two CPUs where it has no GPU.

    Args:
        job: What to do with each slide; memory is that of each worker.
        address: Address of the cluster, such as "auto" or "ray://HOST:10001", or "local" for this machine.
        workers: Number of workers, or "auto".
        slides: Number of slides, beyond which workers would have nothing to do.
        say: Called with lines for the user.

    Raises:
        EnvironmentLacksError: Ray is not installed, or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise EnvironmentLacksError(
            '--ray: needs Ray, which is not part of the plain install. Run pip install "glandseg[cluster]".'
        ) from error
    if address == LOCAL:
        options: dict[str, Any] = {"include_dashboard": False}
    else:
        _check_answers(address)
        options = {"address": address}
    try:
        ray.init(**options, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise EnvironmentLacksError(
            f"--ray {address}: no cluster answers ({error}). Start one, or give local."
        ) from error
    try:
        resources = _choose_resources(job, ray.cluster_resources())
        count = max(1, min(_count(workers, resources, ray.cluster_resources()), slides))
        nodes = len(ray.nodes())
        say(f"Ray cluster: {count} worker{'s' * (count != 1)}, {nodes} node{'s' * (nodes != 1)}")
        threads = int(resources["num_cpus"]) if not job.model.threads else job.model.threads
        job = replace(job, model=replace(_make_model_absolute(job), threads=threads))
        yield [RayWorker(job, resources) for _ in range(count)]
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Check that something listens at an address, for which Ray itself would wait for minutes.

    Raises:
        EnvironmentLacksError: Nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", which Ray finds by itself
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise EnvironmentLacksError(
            f"--ray {address}: no cluster answers ({error}). Start one, or give local."
        ) from error


def _choose_resources(job: CohortJob, cluster: dict[str, float]) -> dict[str, float]:
    if job.model.device != "cpu" and cluster.get("GPU", 0) >= 1:
        return {"num_cpus": CPUS_PER_WORKER, "num_gpus": 1}
    return {"num_cpus": min(job.model.threads or CPUS_PER_WORKER, cluster.get("CPU", 1))}


def _count(workers: str, resources: dict[str, float], cluster: dict[str, float]) -> int:
    if workers.isdecimal() and int(workers) > 0:
        return int(workers)
    if workers != "auto":
        raise BadInputError(f"--workers: auto, or a number above 0. Received: {workers}")
    kind = "GPU" if "num_gpus" in resources else "CPU"
    return int(cluster.get(kind, 1) // resources[f"num_{kind.lower()}s"])


def _make_model_absolute(job: CohortJob) -> Any:
    """Return the job's model with a whole path: workers have other working folders."""
    found = job.model.find()
    return replace(job.model, path=None if found.origin == "bundled" else found.path.resolve())


def _make_absolute(slide: CohortSlide) -> CohortSlide:
    roi = slide.roi.resolve() if slide.roi else None
    return replace(slide, path=slide.path.resolve(), folder=slide.folder.resolve(), roi=roi)
