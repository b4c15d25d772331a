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
import zipfile
from email import message_from_bytes
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
SYSTEMS = {"linux": ("Linux", "linux"), "windows": ("Windows", "win32")}
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
    download = ["download", *tags, *target, "--dest", str(wheels)]
    run_pip(*download, f"{own}[{args.extra}]")
    while missing := list_missing(wheels, args.platform, args.python):
        run_pip(*download, *missing)
    version = own.name.split("-")[1]
    facts = {"version": version, "platform": args.platform, "python": args.python, "extra": args.extra}
    (args.out / "README.txt").write_text(README.format(**facts), encoding="utf-8")
    shutil.copy(PROJECT / "tools" / "kit" / "install.py", args.out)
    write_sums(args.out)
    size = sum(wheel.stat().st_size for wheel in wheels.iterdir()) / 1e6
    print(f"{args.out}: {len(list(wheels.iterdir()))} wheels, {size:.0f} MB")


def list_missing(wheels: Path, platform: str, python: str) -> list[str]:
    """List what the wheels require on the other system alone, where pip looks at this one."""
    system, name = SYSTEMS[platform]
    target = {
        "platform_system": system,
        "sys_platform": name,
        "os_name": "nt" if name == "win32" else "posix",
    }
    known = {key: str(value) for key, value in default_environment().items()}
    environment = {**known, **target, "python_version": python, "extra": ""}
    held = {canonicalize_name(wheel.name.split("-")[0]) for wheel in wheels.glob("*.whl")}
    missing = set()
    for wheel in wheels.glob("*.whl"):
        for requirement in map(Requirement, read_requirements(wheel)):
            is_needed = requirement.marker is None or requirement.marker.evaluate(environment)
            if is_needed and canonicalize_name(requirement.name) not in held:
                missing.add(f"{requirement.name}{requirement.specifier}")
    return sorted(missing)


def read_requirements(wheel: Path) -> list[str]:
    """Read the requirements of a wheel from its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        path = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(path)).get_all("Requires-Dist") or []


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
