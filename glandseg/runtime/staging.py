"""Outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from glandseg.runtime.errors import EnvironmentLacksError


@contextlib.contextmanager
def stage_outputs(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a scratch folder; when the block ends well, move the named files into place, the last one last.

    The scratch folder lies inside `folder`, so moving is renaming. Whatever goes wrong, it is removed, and
    older files of the same names stay as they were.

    Args:
        folder: where the files shall appear; it is made.
        names: of the files that the block writes.

    Raises:
        EnvironmentLacksError: if the folder cannot be written or the disk is full.
    """
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".glandseg-", dir=folder))
        try:
            yield scratch
            for name in names:
                (scratch / name).replace(folder / name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def explain_disk_errors(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line each.

    Raises:
        EnvironmentLacksError: in place of an OSError about permission or space.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentLacksError(
                f"{folder}: the disk is full; nothing was written. Free space, or give another --out."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR):
            raise EnvironmentLacksError(
                f"{folder}: cannot be written ({error.strerror}). Get permission, or give another --out."
            ) from error
        raise
