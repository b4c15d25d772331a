"""Checks of the libraries that read slides, draw outlines and train."""

from __future__ import annotations

import importlib
from importlib import metadata

from glandseg.core.errors import shorten
from glandseg.doctor.finding import Finding, note, ok, problem

OLDEST_OPENSLIDE = (4, 0, 1)  # closes CVE-2026-48977 and CVE-2026-54604
# Names of distributions by import name.
IMAGING = {
    "numpy": "numpy",
    "cv2": "opencv-python",
    "tifffile": "tifffile",
    "imagecodecs": "imagecodecs",
    "simplejpeg": "simplejpeg",
    "contourpy": "contourpy",
    "shapely": "shapely",
}
_SYSTEM_LIBRARY = "Install the system library that it names, on Debian: apt install libgl1 libglib2.0-0."


def check_imaging() -> list[Finding]:
    """Load the libraries that read and draw images."""
    found = {name: _load(name) for name in IMAGING}
    broken = [
        problem("imaging", f"{IMAGING[name]}: {reason}", _cure(name))
        for name, reason in found.items()
        if reason
    ]
    loaded = [f"{IMAGING[name]} {_describe(name)}" for name, reason in found.items() if not reason]
    both = [name for name in ("opencv-python", "opencv-python-headless") if find_version(name)]
    if len(both) == 2:
        broken.append(
            note("imaging", f"{' and '.join(both)} overwrite each other", "pip uninstall -y one of them.")
        )
    return broken + ([ok("imaging", ", ".join(loaded))] if loaded else [])


def check_openslide() -> list[Finding]:
    """Load OpenSlide, and check its version."""
    try:
        import openslide

        version = str(openslide.__library_version__)
    except (ImportError, OSError) as error:
        reinstall = "pip install --force-reinstall openslide-bin openslide-python"
        return [problem("OpenSlide", f"cannot be loaded ({shorten(error)})", f"{reinstall}.")]
    if parse_version(version) < OLDEST_OPENSLIDE:
        cure = 'pip install -U "openslide-bin>=4.0.1", and remove an older OpenSlide from the library path.'
        return [note("OpenSlide", f"{version}: damaged slides can take it over", cure)]
    return [ok("OpenSlide", version)]


def check_training() -> list[Finding]:
    """Report whether the extra `train` is installed, without loading PyTorch."""
    if torch := find_version("torch"):
        return [ok("training", f"PyTorch {torch}")]
    return [ok("training", 'not installed, and not needed for infer: pip install "glandseg[train]"')]


def find_version(distribution: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def parse_version(text: str) -> tuple[int, ...]:
    """Parse "4.0.1" as (4, 0, 1), up to the first part that is not a number."""
    numbers: list[int] = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _load(name: str) -> str:
    """Import a module; return the reason if that fails, else ""."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError, AttributeError, ValueError) as error:
        return shorten(error)
    return ""


def _cure(name: str) -> str:
    if name == "cv2" and find_version(IMAGING[name]):
        return _SYSTEM_LIBRARY
    return f"pip install --force-reinstall {IMAGING[name]}."


def _describe(name: str) -> str:
    headless = find_version(f"{IMAGING[name]}-headless")
    return find_version(IMAGING[name]) or (f"{headless} (headless)" if headless else "(version unknown)")
