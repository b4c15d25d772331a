"""Install glandseg from this kit, without network.

    python install.py [FOLDER]

It checks every wheel by SHA256SUMS, makes a virtual environment in FOLDER (by default glandseg-venv) and
installs there. It needs the version of Python that README.txt names, and nothing else.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

KIT = Path(__file__).resolve().parent


def main() -> None:
    """Check, then install."""
    wheels = check_sums(KIT)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "glandseg-venv")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [str(python), "-m", "pip", "install", "--no-index", "--no-deps", *map(str, wheels)]
    if subprocess.run(command, check=False).returncode:
        sys.exit("not installed: see the lines above. Is this the Python that README.txt names?")
    print(f"installed. Run {python.with_name('glandseg')} demo")


def check_sums(kit: Path) -> list[Path]:
    """Return the wheels of the kit; end with a line if one is missing, changed or not listed."""
    lines = (kit / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    listed = {name: sha256 for sha256, name in (line.split(maxsplit=1) for line in lines)}
    wheels = sorted((kit / "wheels").glob("*.whl"))
    if {f"wheels/{wheel.name}" for wheel in wheels} != set(listed):
        sys.exit("SHA256SUMS: lists other wheels than wheels/ holds. Copy the kit again.")
    for wheel in wheels:
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != listed[f"wheels/{wheel.name}"]:
            sys.exit(f"{wheel}: differs from SHA256SUMS. Copy the kit again.")
    return wheels


if __name__ == "__main__":
    main()
