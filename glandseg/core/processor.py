"""What the processor has instructions for."""

from __future__ import annotations

import importlib
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# Dot products of 8-bit numbers, with sums that cannot saturate: NumPy's names of them, and those for users.
DOT_PRODUCTS = {"AVX512VNNI": "AVX-512 VNNI", "ASIMDDP": "NEON dot product"}
AVX_VNNI = "avx_vnni"  # the same without AVX-512, which NumPy does not list


def list_features() -> dict[str, bool]:
    """List the instructions of the processor by NumPy, which names them alike on every system."""
    try:
        core = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:
        return {}
    return dict(getattr(core, "__cpu_features__", {}))


def find_dot_products() -> str:
    """Return the name of this processor's dot products of 8-bit numbers; empty without, or where unknown."""
    features = list_features()
    known = next((name for key, name in DOT_PRODUCTS.items() if features.get(key)), "")
    if not known and CPU_INFO.is_file() and AVX_VNNI in CPU_INFO.read_text(encoding="utf-8").split():
        return "AVX-VNNI"
    return known
