"""The logs of a fit: a CSV that a resumed fit continues, and optional TensorBoard events."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glandseg.core.atomic import write_whole
from glandseg.core.errors import EnvironmentLacksError


def log_row(path: Path, row: Mapping[str, float]) -> None:
    """Append a row to a CSV, with a header if it is the first."""
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a CSV's rows as dictionaries."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def forget_after(path: Path, step: int) -> None:
    """Drop the rows logged after a step, which a resumed fit repeats."""
    if not path.is_file():
        return
    rows = [row for row in read_rows(path) if int(row["step"]) <= step]
    if not rows:
        path.unlink()
        return
    with write_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class EventLog:
    """The TensorBoard events of a fit; writes nothing unless wanted.

    Args:
        folder: Folder of the events.
        wanted: Whether to write events.
        step: Step from which on events of an earlier process are superseded.

    Raises:
        EnvironmentLacksError: If they are wanted and TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, wanted: bool, step: int) -> None:
        self._writer: Any = None
        if not wanted:
            return
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError:
            raise EnvironmentLacksError(
                "tensorboard: not installed. Run `pip install tensorboard`, or give --set tensorboard=false."
            ) from None
        self._writer = SummaryWriter(str(folder), purge_step=step)

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row of the CSV as scalars over its `step`."""
        if self._writer is not None:
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, row["step"])
            self._writer.flush()
