"""Slides on a Ray cluster of two nodes on this machine, one of which is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.cohort import ray_workers
from glandseg.cohort.dispatch import run_cohort
from glandseg.cohort.ray_workers import RayWorker, start_ray_workers
from glandseg.cohort.slide_runner import Outcome, begin_state
from glandseg.cohort.slide_state import DONE, read_slide_state
from glandseg.core.errors import EnvironmentLacksError
from tests.cohort.cohort_folder import Reports, make_job, write_slides

ray = pytest.importorskip("ray", reason="Ray is not installed: the extra cluster")
from ray.cluster_utils import Cluster  # noqa: E402

SLIDES = 20  # enough that a worker is still running one when its node is gone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="clusters are tested on Linux"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_lost_node_loses_no_slide(
    cluster: Any, tmp_path: Path, red_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glandseg.cohort.ray_workers.ROOM_S", 3.0)
    slides, said = write_slides(tmp_path, [f"{number}.tif" for number in range(SLIDES)]), list[str]()
    reports = LosingReports(cluster)
    with start_ray_workers(make_job(red_model), cluster.address, "auto", len(slides), said.append) as workers:
        assert len(workers) == 2
        run_cohort(slides, workers, reports)
    states = [read_slide_state(slide) for slide in slides]
    assert [state.state for state in states if state] == [DONE] * SLIDES
    assert reports.is_lost
    assert any("was lost" in warning for warning in reports.warnings)
    assert said == ["Ray cluster: 2 workers, 2 nodes"]


@pytest.mark.parametrize(("busy", "release_s"), [(2, 20.0), (9, 0.0)])
def test_a_slide_that_a_lost_process_still_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: int, release_s: float
) -> None:
    monkeypatch.setattr(ray_workers, "RELEASE_S", release_s)
    monkeypatch.setattr(ray_workers, "_POLL_S", 0.01)
    (slide,) = write_slides(tmp_path, ["a.tif"])
    held = Outcome(slide=slide, state=None, is_new=False)
    done = Outcome(slide=slide, state=replace(begin_state(slide, ""), state=DONE), is_new=True)
    outcomes = [held] * busy + [done]

    class Held(RayWorker):
        def _start(self) -> Any:
            return SimpleNamespace(run=SimpleNamespace(remote=lambda slide: None))

        def _follow(self, running: Any, listener: Any) -> Outcome:
            return outcomes.pop(0)

    outcome = Held(make_job(tmp_path / "model.onnx"), {}).run(slide, Reports())
    assert outcome.is_busy == (release_s == 0)


class LosingReports(Reports):
    """Takes a node from the cluster once two slides have ended."""

    def __init__(self, cluster: Any) -> None:
        super().__init__()
        self._cluster, self.is_lost = cluster, False

    def end(self, outcome: Any) -> None:
        super().end(outcome)
        if len(self.ended) == 2:
            self._cluster.remove_node(self._cluster.worker_nodes.copy().pop(), allow_graceful=False)
            self.is_lost = True


def test_a_cluster_that_does_not_answer_is_said(tmp_path: Path, red_model: Path) -> None:
    with (
        pytest.raises(EnvironmentLacksError, match="--ray 127.0.0.1:1: no cluster answers"),
        start_ray_workers(make_job(red_model), "127.0.0.1:1", "1", 1, lambda text: None),
    ):
        pass
