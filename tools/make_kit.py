"""Collect all that glandseg needs on a computer without network: wheels, their hashes and an installer.

    python tools/make_kit.py --platform linux --python 3.11 --extra cpu --out kit
    python tools/make_kit.py --platform windows --python 3.12 --extra gpu --out kit

Copy the folder to the computer, and run `python install.py` in it, with that version of Python.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
TAGS = {
    "linux": (
        "manylinux_2_28_x86_64",
        "manylinux_2_27_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ),
    "windows": ("win_amd64",),
}
README = """glandseg {version} for {platform} (x86-64), Python {python}, extra {extra}

1. Check that `python --version` says {python}.
2. Run `python install.py FOLDER`: it checks SHA256SUMS and installs into a virtual environment in FOLDER.
3. Run FOLDER/bin/glandseg demo (on Windows FOLDER\\Scripts\\glandseg demo), then glandseg doctor.

For Research Use Only. Not for use in diagnostic procedures.
"""


def main() -> None:
    """Collect the kit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--platform", choices=sorted(TAGS), required=True)
    parser.add_argument("--python", default=f"{sys.version_info.major}.{sys.version_info.minor}")
    parser.add_argument("--extra", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.out.exists() and any(args.out.iterdir()):
        sys.exit(f"{args.out}: is not empty. Give another --out folder.")
    wheels = args.out / "wheels"
    wheels.mkdir(parents=True)
    run_pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(PROJECT))
    (own,) = wheels.glob("glandseg-*.whl")
    tags = [word for tag in TAGS[args.platform] for word in ("--platform", tag)]
    target = ["--python-version", args.python, "--implementation", "cp", "--only-binary", ":all:"]
    run_pip("download", *tags, *target, "--dest", str(wheels), f"{own}[{args.extra}]")
    version = own.name.split("-")[1]
    facts = {"version": version, "platform": args.platform, "python": args.python, "extra": args.extra}
    (args.out / "README.txt").write_text(README.format(**facts), encoding="utf-8")
    shutil.copy(PROJECT / "tools" / "kit" / "install.py", args.out)
    write_sums(args.out)
    size = sum(wheel.stat().st_size for wheel in wheels.iterdir()) / 1e6
    print(f"{args.out}: {len(list(wheels.iterdir()))} wheels, {size:.0f} MB")


def run_pip(*words: str) -> None:
    """Run pip of this Python, and end with its exit code if it fails."""
    done = subprocess.run([sys.executable, "-m", "pip", *words, "--quiet"], check=False)
    if done.returncode:
        sys.exit(f"pip {words[0]}: failed, see above. Does each package have a wheel for that platform?")


def write_sums(kit: Path) -> None:
    """Write SHA256SUMS as `sha256sum` does."""
    lines = [
        f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  wheels/{wheel.name}\n"
        for wheel in sorted((kit / "wheels").glob("*.whl"))
    ]
    (kit / "SHA256SUMS").write_text("".join(lines), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
