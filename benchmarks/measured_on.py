"""The circumstances of a measurement: processor, memory, system, versions, date, commit; no host name."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

from glandseg.core.system import count_cpus
from glandseg.runtime.outputs.record import list_versions

# Instructions that change the speed of a network, and the last bits of its answers.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_bf16", "amx_int8")
CPU_INFO = Path("/proc/cpuinfo")


def describe_circumstances() -> dict[str, Any]:
    """Return them, for the end of a result."""
    flags = read_field(CPU_INFO, "flags").split()
    return {
        "machine": {
            "processor": read_field(CPU_INFO, "model name") or platform.processor(),
            "flags": [flag for flag in FLAGS if flag in flags],
            "cpus": count_cpus(),
            "ram_gib": round(read_ram_kib() / 2**20, 1),
            "system": describe_system(),
        },
        "versions": list_versions(),
        "commit": ask_git("rev-parse", "--short", "HEAD") + ("+" if ask_git("status", "--porcelain") else ""),
        "date": date.today().isoformat(),
    }


def describe_system() -> str:
    """Return the operating system's name and release."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def read_ram_kib() -> int:
    """Read the machine's memory; 0 where it is unknown."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    return 0


def read_field(path: Path, name: str) -> str:
    """Return the first value of a name in a file of `name : value` lines."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def ask_git(*question: str) -> str:
    """Return git's answer about this checkout; empty without one."""
    command = ["git", "-C", str(Path(__file__).parent), *question]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
