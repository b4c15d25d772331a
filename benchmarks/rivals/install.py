"""Installation of the rivals' environments, without CUDA.

    python -m benchmarks.rivals.install VENVS

PyTorch is installed first, from a CPU build where pip is told of one. TIAToolbox goes in without its
dependencies: they would bring torchvision, which is built for CUDA, an older PyTorch and much else that
this task never touches; `absent_modules` stands in for it. FAST needs an OpenCL driver, such as PoCL, and
libusb from the system; variables that lead to them belong in VENVS/fast/environment.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

READING = ("openslide-python", "openslide-bin", "tifffile", "imagecodecs")
NETWORK = ("onnxruntime==1.31.1",)
STEPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "plain": ((*NETWORK, *READING, "opencv-python-headless"),),
    "monai": (("torch==2.13.0",), (*NETWORK, *READING, "monai")),
    "tiatoolbox": (
        ("torch==2.13.0",),
        (
            *NETWORK,
            *("openslide-python<1.4.6", "openslide-bin<4.0.1.2", "tifffile<2026.3.3", "imagecodecs<2026.3.6"),
            *("numpy<2.4.4", "opencv-python<5", "pillow<12.2", "scipy<1.17.1", "pandas<3.0.3"),
            *("scikit-image<0.26.1", "scikit-learn<1.9", "shapely<=2.1.2", "matplotlib<3.11.1", "joblib"),
            *("zarr>=3.0.8,<3.2", "dask<2026.7.1", "glymur<0.14.8", "wsidicom<0.34", "pydicom<3.0.2"),
            *("aiohttp", "requests", "huggingface_hub<1.24", "filelock", "defusedxml"),
            *("pyyaml", "tqdm", "click", "psutil"),
        ),
        ("--no-deps", "tiatoolbox==2.1.3"),
    ),
    "fast": (("pyfast==4.18.0",),),
}


def main() -> None:
    """Make every missing environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("venvs", type=Path)
    parser.add_argument("--only", nargs="+", default=list(STEPS), choices=list(STEPS))
    args = parser.parse_args()
    for name in args.only:
        install(args.venvs / name, STEPS[name])


def install(venv: Path, steps: tuple[tuple[str, ...], ...]) -> None:
    """Make an environment and install into it step by step."""
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    for step in steps:
        subprocess.run([str(find_python(venv)), "-m", "pip", "install", "--quiet", *step], check=True)


def find_python(venv: Path) -> Path:
    """Return the interpreter of an environment."""
    return venv.absolute() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


if __name__ == "__main__":
    main()
