"""What of an output must be the same whatever the batches, threads and limits of memory were."""

from __future__ import annotations

from pathlib import Path

_RECORD = b'<script type="application/json" id="record">'


def read_output(path: Path) -> bytes:
    """Read an output; of the report only what comes before its record, which names those settings."""
    return path.read_bytes().partition(_RECORD)[0]
