"""Outputs of earlier runs: another slide's are replaced only with --overwrite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.write import OutputPaths

_MAX_BYTES = 64 << 20  # of a record that is read


def check_older_outputs(paths: OutputPaths, sha256: str, overwrite: bool, say: Callable[[str], None]) -> None:
    """Check that outputs in the way are of the same slide, by the record beside them.

    Args:
        paths: Paths of the new outputs.
        sha256: SHA-256 of the slide's file.
        overwrite: Whether to replace another slide's outputs too.
        say: Called with a line where outputs without a readable record are replaced.

    Raises:
        BadInputError: The outputs are another slide's, and `overwrite` is False.
    """
    older = next((path for name in paths.names if (path := paths.folder / name).is_file()), None)
    if older is None or overwrite:
        return
    recorded = read_slide_hash(paths.record)
    if recorded is None:
        say(f"{older}: replaced, though no record beside it says which slide it is of")
    elif recorded != sha256:
        raise BadInputError(
            f"{older}: is of another slide, or of an older state of this one, says {paths.record.name} "
            f"({recorded[:12]}, not {sha256[:12]}). Give another --out, or --overwrite to replace it."
        )


def read_slide_hash(record: Path) -> str | None:
    """Read the SHA-256 of the slide that a record is of; None where it is not known."""
    try:
        if record.stat().st_size > _MAX_BYTES:
            return None
        sha256 = json.loads(record.read_text(encoding="utf-8"))["slide"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return sha256 if isinstance(sha256, str) else None
