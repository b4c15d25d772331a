"""A folder of small slides, a job that runs them, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import CohortJob, Outcome
from glandseg.model.model_choice import ModelChoice
from glandseg.runtime.settings import InferSettings
from glandseg.synthetic import write_slide

UM_PER_PX = 1.4


def write_slides(folder: Path, names: list[str]) -> list[CohortSlide]:
    """Write slides of one red gland each, whose sizes differ, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        image = np.full((400, 400, 3), 90, np.uint8)
        image[..., 0] = 0
        image[100 : 200 + 10 * number, 100:200, 0] = 255
        write_slide(folder / name, image, UM_PER_PX)
    return [CohortSlide.of_path(folder / name) for name in names]


def make_job(model: Path, *, retry_failed: bool = False, **settings: object) -> CohortJob:
    """Return a job on one CPU thread."""
    choice = ModelChoice(path=model, device="cpu", threads=1, precision="float32")
    return CohortJob(
        model=choice,
        settings=InferSettings(**settings),  # type: ignore[arg-type]
        retry_failed=retry_failed,
    )


@dataclass
class Reports:
    """A listener that keeps what it takes."""

    warnings: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    windows: list[tuple[str, int, int]] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)

    def warn(self, slide: str, text: str) -> None:
        self.warnings.append(f"{slide}: {text}")

    def fail(self, slide: str, reason: str) -> None:
        self.failures.append(f"{slide}: {reason}")

    def advance(self, slide: str, done: int, total: int) -> None:
        self.windows.append((slide, done, total))

    def end(self, outcome: Outcome) -> None:
        self.ended.append(outcome)
