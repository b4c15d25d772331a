"""What became of a slide: kept in a file beside its outputs, for the next run and for other processes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.core.atomic import write_whole
from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.folder_lock import BusyError, lock_folder

STATES = ".glandseg"  # folder of the states, in that of the outputs
RUNNING, DONE, FAILED = "running", "done", "failed"
_FILE = "state.json"


@dataclass(frozen=True, kw_only=True)
class SlideState:
    """What became of a slide.

    Attributes:
        slide: Name of the slide file.
        state: "running", "done" or "failed"; a slide left "running" by a process that ended is resumed.
        key: Hash of the settings and the model, by which a later run knows whether they have changed.
        files: Name, bytes and time of change in ns of each of the slide's files.
        sha256: SHA-256 of the slide's content; empty where it was not read.
        host: Computer that ran it.
        pid: Process that ran it.
        began: When it began, ISO 8601 in UTC.
        seconds: How long it took.
        exit_code: Exit code of its error; 0 without one.
        reason: Message of its error; empty without one.
        result: Figures of the `Result`, by name; empty unless it is done.
        outputs: File names of the outputs.
    """

    slide: str
    state: str
    key: str
    files: tuple[tuple[str, int, int], ...] = ()
    sha256: str = ""
    host: str
    pid: int
    began: str
    seconds: float = 0.0
    exit_code: int = 0
    reason: str = ""
    result: dict[str, Any]
    outputs: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether a failure may be over: of the machine, or of a program that was stopped."""
        return self.state == FAILED and self.exit_code == EnvironmentLacksError.exit_code


def read_slide_state(slide: CohortSlide) -> SlideState | None:
    """Read what became of a slide; None where nothing readable says."""
    try:
        values = json.loads((_get_folder(slide) / _FILE).read_text(encoding="utf-8"))
        values["files"] = tuple((str(name), int(size), int(time)) for name, size, time in values["files"])
        return SlideState(**values | {"outputs": tuple(values["outputs"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_slide_state(slide: CohortSlide, state: SlideState) -> None:
    """Write what became of a slide, whole or not at all."""
    with write_whole(_get_folder(slide) / _FILE) as part:
        part.write_text(json.dumps(asdict(state), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def claim_slide(slide: CohortSlide) -> Iterator[bool]:
    """Yield whether no other process, on any computer that shares the folder, works on the slide.

    If none does, none can until the block ends.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock_folder(_get_folder(slide), f"{slide.path}: busy", is_private=False))
        except BusyError:
            yield False
            return
        yield True


def _get_folder(slide: CohortSlide) -> Path:
    return slide.folder / STATES / slide.stem
