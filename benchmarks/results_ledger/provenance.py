"""The commit that a result is measured with, and the hash of the images and masks that it is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import glandseg
from benchmarks.measured_on import ask_git
from benchmarks.results_ledger.result import ROOT
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.training.data.sample import Sample


def find_commit() -> str:
    """Return the hash of the commit whose code is running.

    Raises:
        BadInputError: If the code differs from it.
        EnvironmentLacksError: If the code that runs is not that of a git checkout.
    """
    commit = ask_git("rev-parse", "HEAD")
    if not commit or Path(glandseg.__file__).resolve().parents[1] != ROOT.resolve():
        raise EnvironmentLacksError(
            "glandseg: does not run from this git checkout, whose commit a result names. Install it with "
            "`pip install --editable .` there."
        )
    if changes := ask_git("status", "--porcelain", "--", str(ROOT / "glandseg")):
        raise BadInputError(
            f"glandseg/: {len(changes.splitlines())} files are not committed, and a result names its commit. "
            "Commit them first."
        )
    return commit


def hash_samples(samples: Sequence[Sample]) -> str:
    """Compute the sha256 over the name of each sample and the sha256 of its image and mask, by name."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda each: each.name):
        files = map(hash_file, filter(None, (sample.path, sample.mask_path)))
        digest.update(f"{sample.name} {' '.join(files)}\n".encode())
    return digest.hexdigest()
