"""What became of each slide of a cohort, in figures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_state import DONE, read_slide_state
from glandseg.runtime.outputs.report.report import REPORT_SUFFIX

WAITING = "waiting"  # no process has begun it


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """What became of a slide; figures are None unless it is done.

    Attributes:
        slide: Path of the slide from the summary's folder.
        state: "done", "failed", "running" or "waiting".
        glands: Number of glands.
        gland_mm2: Area of the glands, in mm2.
        tissue_mm2: Area of the tissue, in mm2.
        gland_share: Area of the glands by that of the tissue.
        unread_share: Share of the tissue that could not be read, 0..1.
        seconds: How long it took.
        exit_code: Exit code of its error; 0 without one.
        reason: Message of its error; empty without one.
        warnings: Its warnings.
        host: Computer that ran it; empty while it waits.
        began: When that began, ISO 8601 in UTC; empty while it waits.
        report: Path of its report from the summary's folder; empty without one.
    """

    slide: str
    state: str
    glands: int | None = None
    gland_mm2: float | None = None
    tissue_mm2: float | None = None
    gland_share: float | None = None
    unread_share: float | None = None
    seconds: float = 0.0
    exit_code: int = 0
    reason: str = ""
    warnings: tuple[str, ...] = ()
    host: str = ""
    began: str = ""
    report: str = ""


def summarise(slides: Sequence[CohortSlide], folder: Path) -> list[SummaryRow]:
    """Read what became of slides, whichever process ran them."""
    return [_summarise_slide(slide, folder) for slide in slides]


def describe_states(rows: Sequence[SummaryRow]) -> str:
    """Count the slides in each state: "40 slides: 36 done, 3 failed, 1 running"."""
    counts = Counter(row.state for row in rows)
    listed = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    return f"{len(rows)} slide{'s' * (len(rows) != 1)}: {listed}"


def _summarise_slide(slide: CohortSlide, folder: Path) -> SummaryRow:
    name, state = _locate(slide.path, folder), read_slide_state(slide)
    if state is None:
        return SummaryRow(slide=name, state=WAITING)
    figures: dict[str, Any] = state.result if state.state == DONE else {}
    tissue, report = figures.get("tissue_mm2"), slide.stem + REPORT_SUFFIX
    return SummaryRow(
        slide=name,
        state=state.state,
        **{key: figures.get(key) for key in ("glands", "gland_mm2", "tissue_mm2", "unread_share")},
        gland_share=round(figures["gland_mm2"] / tissue, 4) if tissue else None,
        seconds=state.seconds,
        exit_code=state.exit_code,
        reason=state.reason,
        warnings=tuple(figures.get("warnings", ())),
        host=state.host,
        began=state.began,
        report=_locate(slide.folder / report, folder) if report in state.outputs else "",
    )


def _locate(path: Path, folder: Path) -> str:
    """Return a path from a folder, with "/"; the whole path where it lies on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()
