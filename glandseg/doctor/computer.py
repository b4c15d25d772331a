"""The computer itself: Python, system, processor, memory, disks."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from glandseg.core.units import GIB
from glandseg.doctor.finding import Finding, note, ok, problem

OLDEST_PYTHON = (3, 10)
LEAST_MEMORY, LEAST_DISK = 2 * GIB, 5 * GIB
_CGROUP = Path("/sys/fs/cgroup/memory.max")  # what a container may take
_VECTORS = {"AVX512VNNI": "AVX-512 VNNI", "AVX2": "AVX2", "ASIMDDP": "NEON dot product"}


def look_at_python() -> list[Finding]:
    """Say which Python runs."""
    bits = 64 if sys.maxsize > 2**32 else 32
    text = f"{platform.python_implementation()} {platform.python_version()}, {bits}-bit"
    if sys.version_info < OLDEST_PYTHON or bits < 64:
        return [problem("Python", text, "Install a 64-bit Python 3.10 or newer.")]
    return [ok("Python", text)]


def look_at_system() -> list[Finding]:
    """Say which operating system runs; never the host's name."""
    library = " ".join(platform.libc_ver()).strip()
    words = [f"{platform.system()} {platform.release()}", platform.machine(), library]
    return [ok("system", ", ".join(word for word in words if word))]


def look_at_processor() -> list[Finding]:
    """Count the CPUs, and say what they offer to int8 models."""
    from glandseg.core.system import count_cpus

    counts = f"{count_cpus()} of {os.cpu_count()} CPUs usable"
    vectors = next((name for key, name in _VECTORS.items() if _list_features().get(key)), "")
    if not vectors:
        return [ok("processor", f"{counts}; vector instructions not readable")]
    gain = "" if vectors == "AVX2" else ": int8 models run fastest"
    return [ok("processor", f"{counts}, with {vectors}{gain}")]


def look_at_memory() -> list[Finding]:
    """Say how much memory is free."""
    import psutil

    memory = psutil.virtual_memory()
    whole = min(memory.total, _read_limit() or memory.total)
    free = min(memory.available, whole)
    text = f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free"
    if free < LEAST_MEMORY:
        return [note("memory", text, "Close other programs, or give glandseg infer --batch 1.")]
    return [ok("memory", text)]


def look_at_disks() -> list[Finding]:
    """Say how much room the folder of this moment and the temporary one have."""
    return [_look_at_folder("disk", Path.cwd(), "here"), _look_at_folder("disk", Path(tempfile.gettempdir()))]


def _look_at_folder(topic: str, folder: Path, name: str = "") -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free {name or f'in {folder}'}"
    if not os.access(folder, os.W_OK):
        return note(topic, f"{text}, but not writable", "Give glandseg infer an --out that is.")
    if free < LEAST_DISK:
        return note(topic, text, "Large slides need some: free some, or give glandseg infer another --out.")
    return ok(topic, text)


def _list_features() -> dict[str, bool]:
    """List the processor's instructions as NumPy sees them, on every system alike."""
    try:
        core = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:
        return {}
    return dict(getattr(core, "__cpu_features__", {}))


def _read_limit() -> int | None:
    try:
        return int(_CGROUP.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not in a container, or "max"
        return None
