"""The folder of a slide's unfinished work: one process at a time, resumed if its resume key is equal."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from glandseg.core.atomic import explain_disk_errors, made_folder, put_back
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.folder_lock import LOCK, PID_LOCK, lock_folder
from glandseg.core.moves import move, remove
from glandseg.core.own_files import check_own_folder, is_link

KEY = "job.json"
_PROGRESS = (".windows", ".jsonl")  # of files that a later run resumes from, besides the key


@contextlib.contextmanager
def open_work_folder(
    folder: Path, stem: str, key: Mapping[str, Any], say: Callable[[str], None]
) -> Iterator[Path]:
    """Make a hidden folder in `folder` that outlives a process that is stopped.

    It is removed when the block ends well, and for bad input, of which nothing can be resumed. What an
    earlier process left there stays if its resume key is equal, and is removed if not.

    Args:
        folder: Folder of the outputs, made where there is none.
        stem: Stem of the outputs' names.
        key: Resume key: all that the unfinished work depends on, as JSON values.
        say: Called with a line when older work is dropped.

    Raises:
        EnvironmentLacksError: Another process works there, or the folder cannot be written, is not this
            user's, holds links or vanishes.
    """
    work = folder / f".{stem}.glandseg"
    busy = (
        f"{folder}: another glandseg is at work on this slide. Let it end, or give another --out. "
        f"If none runs on any computer, remove {work.name}."
    )
    with explain_disk_errors(folder), made_folder(folder), lock_folder(work, busy), _explain_loss(work):
        try:
            check_own_folder(work)
            put_back(work, folder)
            _check_key(work, key, say)
            yield work
        except BadInputError:
            _remove(work)
            raise
        except BaseException:
            _drop(_list_content(work, progress=not _is_worth_keeping(work)))
            raise
        _remove(work)


@contextlib.contextmanager
def _explain_loss(work: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if work.is_dir():
            raise
        raise EnvironmentLacksError(
            f"{work.parent}: was moved or removed while the slide was worked on; nothing was written there. "
            "Give the same command again."
        ) from error


def _check_key(work: Path, key: Mapping[str, Any], say: Callable[[str], None]) -> None:
    wanted = json.dumps(key, indent=1, sort_keys=True)
    with contextlib.suppress(OSError, ValueError):
        if (work / KEY).read_text(encoding="utf-8") == wanted:
            return
    if _is_worth_keeping(work):
        say("unfinished work with other settings, model or slide is dropped")
    _remove(work)
    if left := _list_content(work):
        raise EnvironmentLacksError(
            f"{left[0]}: is of other work and cannot be removed. Close what holds it open, and remove it."
        )
    part = work / f"{KEY}.part"
    part.write_text(wanted, encoding="utf-8")
    move(part, work / KEY)


def _is_worth_keeping(work: Path) -> bool:
    return any(path.suffix == ".windows" and path.lstat().st_size for path in _list_content(work))


def _list_content(work: Path, *, progress: bool = True) -> list[Path]:
    """List all but the locks; nothing where the folder is gone.

    Args:
        work: Work folder.
        progress: Also list what a later run resumes from.
    """
    kept = (LOCK, PID_LOCK) if progress else (LOCK, PID_LOCK, KEY)
    with contextlib.suppress(FileNotFoundError):
        found = sorted(path for path in work.iterdir() if path.name not in kept)
        return [path for path in found if progress or path.suffix not in _PROGRESS]
    return []


def _remove(work: Path) -> None:
    """Remove all but the locks, as far as that can be done, waiting for other programs that hold a file."""
    for path in _list_content(work):
        if path.is_file() or is_link(path):
            with contextlib.suppress(OSError):
                remove(path)
    _drop(_list_content(work))


def _drop(paths: list[Path]) -> None:
    """Remove files and folders that can be removed now."""
    for path in paths:
        if path.is_dir() and not is_link(path):
            shutil.rmtree(path, ignore_errors=True)
            continue
        with contextlib.suppress(OSError):
            path.unlink()
