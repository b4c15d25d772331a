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
        say: Called with a line where outputs without a readable record are replaced, or others stay.

    Raises:
        BadInputError: The outputs are another slide's, and `overwrite` is False.
    """
    chosen = [path for name in paths.names[:-1] if (path := paths.folder / name).exists()]
    older = next((path for path in (*chosen, *paths.others, paths.record) if path.exists()), None)
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
    if paths.others:
        say(f"{', '.join(path.name for path in paths.others)}: of an earlier run, not written by this one")


def list_foreign_outputs(paths: OutputPaths, sha256: str) -> list[str]:
    """List outputs of another slide, by the record beside them, that a new run would not replace.

    They are removed with those it replaces: the new record would pass them off as the new slide's.

    Args:
        paths: Paths of the new outputs.
        sha256: SHA-256 of the new slide's file.
    """
    recorded = read_slide_hash(paths.record)
    is_foreign = recorded is not None and recorded != sha256
    return [path.name for path in paths.others] if is_foreign else []


def read_slide_hash(record: Path) -> str | None:
    """Read the SHA-256 of the slide that a record is of; None where it is not known."""
    try:
        if record.stat().st_size > _MAX_BYTES:
            return None
        sha256 = json.loads(record.read_text(encoding="utf-8"))["slide"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return sha256 if isinstance(sha256, str) else None
