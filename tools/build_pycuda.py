"""Builds PyCUDA's wheel, which PyPI has not, from PyPI's parts and a C++ compiler; no GPU, no toolkit.

python tools/build_pycuda.py --out dist

The headers are CUDA 12's, so that the wheel loads with NVIDIA's driver r535 and every newer one. The wheel
is for the Python that runs this. Behind a mirror or offline, pip's own settings hold: PIP_INDEX_URL, or
PIP_NO_INDEX and PIP_FIND_LINKS.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

PYCUDA = "pycuda==2026.1"
HEADERS = ("nvidia-cuda-runtime-cu12==12.9.79", "nvidia-cuda-profiler-api-cu12==12.9.79")
_HEADER_FILES = ("cuda.h", "cudaProfiler.h")
WINDOWS = os.name == "nt"
_DRIVER_CALL = re.compile(r"\bcu[A-Z]\w+")


def main() -> None:
    """Build the wheel and say where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the wheel")
    parser.add_argument("--work", type=Path, help="folder to work in, kept; by default a temporary one")
    asked = parser.parse_args()
    if not WINDOWS and shutil.which("c++") is None:
        sys.exit("c++: not found. Install a C++ compiler (apt install g++), and give the command again.")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            build(asked.work or Path(scratch), asked.out.resolve())
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            sys.exit(f"{command}: failed with exit code {error.returncode}. Its lines above say why.")


def build(work: Path, out: Path) -> None:
    """Fetch the parts into `work`, and leave the wheel in `out`."""
    source, parts = fetch_source(work), fetch_headers(work)
    includes = sorted({path.parent for name in _HEADER_FILES for path in parts.rglob(name)})
    if len(includes) < len(HEADERS):
        sys.exit(f"{parts}: cuda.h or cudaProfiler.h is missing from {', '.join(HEADERS)}.")
    libraries = find_import_library(parts) if WINDOWS else make_stub(parts, includes)
    write_settings(source, includes, libraries)
    run_pip("wheel", "--no-deps", "--no-cache-dir", "--wheel-dir", out, source)
    for wheel in sorted(out.glob("pycuda-*.whl")):
        sys.stdout.write(f"{wheel}: install it with pip install {wheel}\n")


def fetch_source(work: Path) -> Path:
    """Download and unpack PyCUDA."""
    run_pip("download", "--no-deps", "--no-binary", "pycuda", "--dest", work, PYCUDA)
    archive = next(work.glob("pycuda-*.tar.gz"))
    with tarfile.open(archive) as file:
        if hasattr(tarfile, "data_filter"):
            file.extractall(work, filter="data")
        else:
            file.extractall(work)
    return work / archive.name.removesuffix(".tar.gz")


def fetch_headers(work: Path) -> Path:
    """Download and unpack NVIDIA's wheels that hold the headers."""
    run_pip("download", "--no-deps", "--only-binary", ":all:", "--dest", work, *HEADERS)
    for wheel in work.glob("nvidia_*.whl"):
        with zipfile.ZipFile(wheel) as file:
            file.extractall(work / "parts")
    return work / "parts"


def find_import_library(parts: Path) -> Path:
    """Find the folder of the driver's import library, which NVIDIA's wheel for Windows holds."""
    return next(parts.rglob("cuda.lib")).parent


def make_stub(parts: Path, includes: Sequence[Path]) -> Path:
    """Make a libcuda to link against, names without code; at run time the driver's own is loaded."""
    headers = [path for folder in includes for path in folder.glob("cuda*.h") if path.name in _HEADER_FILES]
    calls = sorted({call for path in headers for call in _DRIVER_CALL.findall(path.read_text("utf-8"))})
    source = parts / "stub.c"
    source.write_text("".join(f"void {call}(void) {{}}\n" for call in calls))
    compiler = shutil.which("cc") or "c++"
    options = ["-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1"]
    subprocess.run([compiler, *options, "-o", parts / "libcuda.so", source], check=True)
    return parts


def write_settings(source: Path, includes: Sequence[Path], libraries: Path) -> None:
    """Tell PyCUDA's build where the parts are; it leaves out the random numbers, which need cuRAND."""
    settings = {
        "CUDA_ROOT": str(libraries),
        "CUDA_INC_DIR": [str(folder) for folder in includes],
        "CUDADRV_LIB_DIR": [str(libraries)],
        "CUDA_ENABLE_CURAND": False,
        "CXXFLAGS": ["/EHsc"] if WINDOWS else ["-O1"],
        "LDFLAGS": ["/FORCE"] if WINDOWS else [],
    }
    lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
    (source / "siteconf.py").write_text("".join(lines), encoding="utf-8")


def run_pip(*arguments: object) -> None:
    """Run this Python's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
