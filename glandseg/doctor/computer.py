"""Checks of the computer: Python, system, processor, memory, disks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from glandseg.core.units import GIB
from glandseg.doctor.finding import Finding, note, ok, problem

OLDEST_PYTHON = (3, 10)
MIN_MEMORY, MIN_DISK = 2 * GIB, 5 * GIB
_CGROUP = Path("/sys/fs/cgroup/memory.max")  # memory limit of a container, in bytes


def check_python() -> list[Finding]:
    """Report the Python version; it must be 64-bit and not too old."""
    bits = 64 if sys.maxsize > 2**32 else 32
    text = f"{platform.python_implementation()} {platform.python_version()}, {bits}-bit"
    if sys.version_info < OLDEST_PYTHON or bits < 64:
        return [problem("Python", text, "Install a 64-bit Python 3.10 or newer.")]
    return [ok("Python", text)]


def check_system() -> list[Finding]:
    """Report the operating system, without the name of the host."""
    library = " ".join(platform.libc_ver()).strip()
    words = [f"{platform.system()} {platform.release()}", platform.machine(), library]
    return [ok("system", ", ".join(word for word in words if word))]


def check_processor() -> list[Finding]:
    """Report the number of CPUs and their vector instructions for INT8."""
    from glandseg.core.processor import find_dot_products, list_features
    from glandseg.core.system import count_cpus

    counts = f"{count_cpus()} of {os.cpu_count()} CPUs usable"
    if unit := find_dot_products():
        return [ok("processor", f"{counts}, with {unit}: INT8 models run fastest")]
    known = "with AVX2" if list_features().get("AVX2") else "vector instructions not readable"
    return [ok("processor", f"{counts}, {known}")]


def check_memory() -> list[Finding]:
    """Report the free memory."""
    import psutil

    memory = psutil.virtual_memory()
    whole = min(memory.total, _read_limit() or memory.total)
    free = min(memory.available, whole)
    text = f"{free / GIB:.1f} of {whole / GIB:.1f} GiB free"
    if free < MIN_MEMORY:
        return [note("memory", text, "Close other programs, or run glandseg infer with --batch 1.")]
    return [ok("memory", text)]


def check_disks() -> list[Finding]:
    """Report the free space of the current and the temporary folder."""
    return [_check_folder("disk", Path.cwd(), "here"), _check_folder("disk", Path(tempfile.gettempdir()))]


def _check_folder(topic: str, folder: Path, name: str = "") -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free {name or f'in {folder}'}"
    if not os.access(folder, os.W_OK):
        return note(topic, f"{text}, but not writable", "Run glandseg infer with a writable --out.")
    if free < MIN_DISK:
        return note(topic, text, "Free some for large slides, or run glandseg infer with another --out.")
    return ok(topic, text)


def _read_limit() -> int | None:
    try:
        return int(_CGROUP.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not in a container, or "max"
        return None
