"""The record of a run: slide, model, settings, results, versions; no user, host or path."""

from __future__ import annotations

import contextlib
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
    "opencv-python-headless",
    "onnxruntime",
    "onnxruntime-gpu",
    "openslide-python",
    "openslide-bin",
    "tifffile",
    "imagecodecs",
    "simplejpeg",
    "contourpy",
    "shapely",
    "pyarrow",
    "zarr",
    "tensorrt",
    "tensorrt-rtx",
    "pycuda",
)


def write_record(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the facts of a run as JSON, with versions and the research-use line; return them all."""
    record = {"glandseg": __version__, "use": RESEARCH_USE, **facts, "versions": list_versions()}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return record


def list_versions() -> dict[str, str]:
    """Return the versions of Python, the system and the libraries in use."""
    versions = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for name in LIBRARIES:  # a listing of all that is installed would take a quarter of a second
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
