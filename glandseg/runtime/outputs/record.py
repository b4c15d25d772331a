"""The record of a run: slide, model, settings, results, versions; no user, host or path."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from glandseg import RESEARCH_USE, __version__

LIBRARIES = (
    "numpy",
    "opencv-python",
    "onnxruntime",
    "onnxruntime-gpu",
    "openslide-python",
    "openslide-bin",
    "tifffile",
    "imagecodecs",
    "simplejpeg",
    "contourpy",
    "shapely",
    "tensorrt",
    "tensorrt-rtx",
    "pycuda",
)


def write_record(path: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts of a run as JSON, with versions and the research-use line."""
    record = {"glandseg": __version__, "use": RESEARCH_USE, **facts, "versions": list_versions()}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def list_versions() -> dict[str, str]:
    """Return the versions of Python, the system and the libraries in use."""
    installed = {found.name.lower(): found.version for found in metadata.distributions()}
    system = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    return system | {name: installed[name] for name in LIBRARIES if name in installed}
