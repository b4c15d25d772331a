"""Outputs that appear whole or not at all, and disk errors in words."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import traceback
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.moves import move, remove
from glandseg.core.own_files import is_link, open_own

OLDER = "older"  # folder of the files that are being replaced
FOLDER_SUFFIX = ".zarr"  # of outputs that are folders: no other folder is ever replaced
FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EFBIG,
    errno.EIO,
    errno.ELOOP,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ENODEV,
    errno.ENXIO,
)
_ON_WINDOWS = os.name == "nt"
_LONGEST_WINDOWS_PATH = 259  # where long paths are not switched on


@contextlib.contextmanager
def stage_outputs(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yield a scratch folder; when the block succeeds, move the named files into place, in order.

    The scratch folder lies inside `folder`, so moving is renaming. On any failure it is removed, and older
    files of the same names stay as they were.

    Args:
        folder: Folder of the outputs; it is made.
        names: File names that the block writes.

    Raises:
        EnvironmentLacksError: The folder cannot be written, or the disk is full.
    """
    with explain_disk_errors(folder), made_folder(folder):
        scratch = folder / f".glandseg-{uuid.uuid4().hex[:12]}"  # mkdtemp's privacy would stick on Windows
        scratch.mkdir()
        try:
            yield scratch
            move_into_place(scratch, folder, names)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # they hold maps, which Windows cannot remove
            if isinstance(error, FileNotFoundError) and not scratch.is_dir():
                raise EnvironmentLacksError(
                    f"{folder}: was moved or removed during the work. Run the same command again."
                ) from error
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; when the block succeeds, rename it to `path`."""
    part = path.with_name(f".{path.name}.part")
    if is_link(part):  # planted there: it would be written through
        part.unlink()
    yield part
    move(part, path)


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder if it is missing, and then remove it in the end if it is empty."""
    found = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        if not found:
            with contextlib.suppress(OSError):
                folder.rmdir()  # refuses unless empty


def move_into_place(scratch: Path, folder: Path, names: Sequence[str], retired: Sequence[str] = ()) -> None:
    """Move files and folders out of a scratch folder; if one cannot be moved, restore the older ones.

    Older files leave first, so a run killed between two moves is recognised by its missing last file.

    Args:
        scratch: Folder inside `folder` that holds the new files.
        folder: Folder of the outputs.
        names: Names of the new files.
        retired: Names of older files to remove that no new one replaces.
    """
    older = scratch / OLDER
    older.mkdir()
    with contextlib.ExitStack() as undo:
        for name in reversed((*retired, *names)):
            if _is_output(folder / name):
                move(folder / name, older / name)
                undo.callback(move, older / name, folder / name)
        for name in names:
            move(scratch / name, folder / name)
            undo.callback(_remove, folder / name)
        undo.pop_all()


def _is_output(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and path.suffix == FOLDER_SUFFIX)


def _remove(path: Path) -> None:
    if path.is_dir() and not is_link(path):
        shutil.rmtree(path)
    else:
        remove(path)


def try_names(scratch: Path, names: Sequence[str]) -> None:
    """Create and remove a file of the longest name, so that a name that is too long fails before the work.

    Raises:
        OSError: The file system refuses the name.
    """
    longest = scratch / max(names, key=lambda name: len(os.fsencode(name)))
    if not longest.exists():
        open_own(longest, "xb").close()
        remove(longest)


def put_back(scratch: Path, folder: Path) -> None:
    """Restore older files that a process killed in `move_into_place` left in its scratch folder.

    If it had begun to move new files in, the older ones no longer fit and are removed.
    """
    older = list((scratch / OLDER).glob("*"))
    if not any((folder / path.name).exists() for path in older):
        for path in older:
            move(path, folder / path.name)
    shutil.rmtree(scratch / OLDER, ignore_errors=True)


@contextlib.contextmanager
def explain_disk_errors(folder: Path) -> Iterator[None]:
    """Raise the operating system's refusals again as errors of one line.

    Raises:
        EnvironmentLacksError: In place of an OSError about permission, names, size or space.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise EnvironmentLacksError(
                f"{folder}: the disk is full; nothing was written. Free space, or give another --out."
            ) from error
        if error.errno in REFUSED:
            what = Path(str(error.filename or folder)).name
            raise EnvironmentLacksError(
                f"{folder}: cannot be written ({what}: {error.strerror}). "
                f"{_name_cure(error)}, or give another --out."
            ) from error
        if _ON_WINDOWS and len(str(error.filename or "")) > _LONGEST_WINDOWS_PATH:
            raise EnvironmentLacksError(
                f"{folder}: Windows takes no path of more than {_LONGEST_WINDOWS_PATH} characters. "
                "Switch on long paths, or give a shorter --out."
            ) from error
        raise


def _name_cure(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "Rename the slide: its outputs' names are longer than its own"
    return "Fix that"
