"""The folder of a slide's unfinished work: one process at a time, continued if its facts are the same."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from glandseg.runtime.errors import EnvironmentLacksError
from glandseg.runtime.staging import explain_disk_errors, made_folder, put_back

FACTS = "job.json"
LOCK = "lock"


@contextlib.contextmanager
def open_work_folder(
    folder: Path, stem: str, facts: Mapping[str, Any], say: Callable[[str], None]
) -> Iterator[Path]:
    """Give a hidden folder in `folder`; it outlives a process cut off, and goes when the block ends well.

    What an earlier process left there stays if it worked on the same facts, and is removed if not.

    Args:
        folder: of the outputs; it is made.
        stem: of the slide's outputs.
        facts: all that the kept work depends on, as JSON can tell it.
        say: is told when older work is dropped.

    Raises:
        EnvironmentLacksError: if another process works there, or the folder cannot be written.
    """
    work = folder / f".{stem}.glandseg"
    with explain_disk_errors(folder), made_folder(folder), _lock(work):
        try:
            put_back(work, folder)
            _settle_facts(work, facts, say)
            yield work
        except BaseException:
            if not _is_worth_keeping(work):
                _remove(work)
            raise
        _remove(work)


@contextlib.contextmanager
def _lock(work: Path) -> Iterator[None]:
    work.mkdir(exist_ok=True)
    lock = FileLock(work / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise EnvironmentLacksError(
            f"{work.parent}: another glandseg is at work on this slide. Let it end, or give another --out."
        ) from None
    try:
        yield
    finally:
        lock.release()
        with contextlib.suppress(OSError):
            (work / LOCK).unlink(missing_ok=True)
            work.rmdir()  # refuses unless empty


def _settle_facts(work: Path, facts: Mapping[str, Any], say: Callable[[str], None]) -> None:
    wanted = json.dumps(facts, indent=1, sort_keys=True)
    with contextlib.suppress(OSError, ValueError):
        if (work / FACTS).read_text(encoding="utf-8") == wanted:
            return
    if _is_worth_keeping(work):
        say("unfinished work with other settings, model or slide is dropped")
    _remove(work)
    part = work / f"{FACTS}.part"
    part.write_text(wanted, encoding="utf-8")
    part.replace(work / FACTS)


def _is_worth_keeping(work: Path) -> bool:
    return any(path.suffix == ".windows" and path.stat().st_size for path in work.glob("*"))


def _remove(work: Path) -> None:
    """Remove all but the lock, which is held."""
    for path in work.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
