"""Outputs of earlier runs: another slide's are not replaced unasked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from glandseg.core.errors import BadInputError

_MOST_BYTES = 64 << 20  # of a record that is looked into


def check_older_outputs(
    folder: Path, names: Sequence[str], sha256: str, overwrite: bool, say: Callable[[str], None]
) -> None:
    """Check that outputs in a folder are of the same slide, by the record beside them.

    Args:
        folder: Where the new outputs go.
        names: File names of the outputs, the record last.
        sha256: SHA-256 of the slide's file.
        overwrite: Replace another slide's outputs too.
        say: Called with a line where outputs without a readable record are replaced.

    Raises:
        BadInputError: The outputs are another slide's, and `overwrite` is False.
    """
    there = [name for name in names if (folder / name).is_file()]
    if not there or overwrite:
        return
    recorded = read_slide_hash(folder / names[-1])
    if recorded is None:
        say(f"{folder / there[0]}: replaced, though no record beside it says which slide it is of")
    elif recorded != sha256:
        raise BadInputError(
            f"{folder / there[0]}: is of another slide, or of an older state of this one, says {names[-1]} "
            f"({recorded[:12]}, not {sha256[:12]}). Give another --out, or --overwrite to replace it."
        )


def read_slide_hash(record: Path) -> str | None:
    """Read the SHA-256 of the slide that a record is of; None where it cannot be told."""
    try:
        if record.stat().st_size > _MOST_BYTES:
            return None
        sha256 = json.loads(record.read_text(encoding="utf-8"))["slide"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return sha256 if isinstance(sha256, str) else None
