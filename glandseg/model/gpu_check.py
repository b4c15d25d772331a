"""The check at first use: what a GPU computes is compared with the CPU, once, on golden tiles.

A driver, a library or a kernel that is wrong for a GPU need not fail: it may return other probabilities, and
a pathologist cannot see that a gland is missing because of it. No test here can cover every GPU, so the
check runs on the user's own. What passed is remembered by model, GPU, driver and library; a change of any
of them runs it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import platformdirs

from glandseg.core.atomic import write_whole
from glandseg.core.callbacks import Say
from glandseg.core.json_text import parse_json
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ENGINE_SUFFIX, find_name
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import check_parity, draw_golden_tiles, measure_parity


def find_memory() -> Path:
    """Return the file in the user's cache folder that remembers what passed."""
    return platformdirs.user_cache_path("glandseg", appauthor=False) / "first_use.json"


def find_reference(path: Path) -> Path | None:
    """Return the float32 file beside a model, else the ONNX file itself; None for an engine alone.

    NAME.fp16.onnx and NAME.fp16.engine are compared with NAME.onnx.
    """
    beside = path.with_name(f"{find_name(path)}.onnx")
    if beside.is_file():
        return beside
    return None if path.suffix == ENGINE_SUFFIX else path


def pass_first_use(
    backend: ModelBackend,
    path: Path,
    facts: dict[str, str],
    *,
    precision: str | None = None,
    memory: Path | None = None,
    say: Say = lambda text: None,
) -> None:
    """Compare a GPU with the CPU on golden tiles, unless the same model passed on the same GPU before.

    Args:
        backend: Model on the GPU.
        path: File of the model.
        facts: What the comparison depends on besides the backend: the model's hash, GPU and driver.
        precision: Precision whose limits apply; None means the card's.
        memory: File that remembers what passed; None means the user's.
        say: Called with a line before the comparison, which takes seconds.

    Raises:
        ParityError: if the GPU is outside the limits of the precision.
    """
    memory = memory or find_memory()
    key = _hash({**facts, "identity": backend.identity})
    passed = _read(memory)
    if key in passed:
        return
    reference = find_reference(path)
    if reference is None:
        say(f"{path.name}: not compared with the CPU, for {find_name(path)}.onnx is not beside it")
        return
    say(f"first use of {path.name} by {backend.name}: compared with {reference.name} on synthetic tiles")
    with CpuSession(reference) as on_cpu:
        parity = measure_parity(on_cpu, backend, draw_golden_tiles(backend.card.um_per_px))
    check_parity(parity, precision or backend.card.precision, backend.name, f"{reference.name} on the CPU")
    _write(memory, passed | {key: {**facts, "backend": backend.name, "parity": asdict(parity)}})


def _hash(facts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _read(memory: Path) -> dict[str, Any]:
    try:
        passed = parse_json(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return passed if isinstance(passed, dict) else {}


def _write(memory: Path, passed: dict[str, Any]) -> None:
    """Write what passed; where that fails, the comparison is made again next time."""
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(memory) as part:
            part.write_text(json.dumps(passed, indent=1), encoding="utf-8")
