"""Unfinished work: kept, continued, dropped, and never shared."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from filelock import FileLock

from glandseg.core import folder_lock
from glandseg.core.atomic import OLDER, move_into_place
from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.folder_lock import LOCK, PID_LOCK
from glandseg.runtime.work_folder import open_work_folder

FACTS = {"slide": "abc", "scales": [1.0]}


def work_on(folder: Path, facts: Mapping[str, object], fail: bool = True) -> list[str]:
    """Leave a finished window behind, and tell what was found and said."""
    told: list[str] = []
    try:
        with open_work_folder(folder, "slide", facts, told.append) as work:
            kept = work / "finished.windows"
            told.append(f"found {kept.read_text() if kept.exists() else 'nothing'}")
            kept.write_text("window")
            if fail:
                raise RuntimeError
    except RuntimeError:
        pass
    return told


def test_work_cut_off_is_continued(tmp_path: Path) -> None:
    assert work_on(tmp_path, FACTS) == ["found nothing"]
    assert work_on(tmp_path, FACTS) == ["found window"]
    assert work_on(tmp_path, FACTS, fail=False) == ["found window"]
    assert list(tmp_path.iterdir()) == []


def test_work_on_other_facts_is_dropped_and_said_so(tmp_path: Path) -> None:
    work_on(tmp_path, FACTS)
    told = work_on(tmp_path, FACTS | {"scales": [2.0]})
    assert told == ["unfinished work with other settings, model or slide is dropped", "found nothing"]


def test_nothing_is_left_where_nothing_was_finished(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_work_folder(tmp_path / "out", "slide", FACTS, print):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom glandseg.runtime.work_folder import open_work_folder\n"
        f"with open_work_folder(Path({str(tmp_path)!r}), 'slide', {FACTS!r}, print):\n"
        "    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(EnvironmentLacksError, match="another glandseg is at work on this slide"):
            work_on(tmp_path, FACTS)
    finally:
        other.kill()
        other.wait()
    assert work_on(tmp_path, FACTS, fail=False) == ["found nothing"]


def test_older_outputs_left_out_of_place_come_back(tmp_path: Path) -> None:
    work = tmp_path / ".slide.glandseg"
    (work / OLDER).mkdir(parents=True)
    (work / OLDER / "slide.csv").write_text("older")
    with open_work_folder(tmp_path, "slide", FACTS, print):
        assert (tmp_path / "slide.csv").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["slide.csv"]


def test_older_outputs_do_not_mix_with_newer(tmp_path: Path) -> None:
    work = tmp_path / ".slide.glandseg"
    (work / OLDER).mkdir(parents=True)
    for name in ("slide.csv", "slide.json"):
        (work / OLDER / name).write_text("older")
    (tmp_path / "slide.csv").write_text("newer")
    with open_work_folder(tmp_path, "slide", FACTS, print) as work:
        assert [path.name for path in tmp_path.glob("slide.*")] == ["slide.csv"]
        (work / "slide.csv").write_text("newest")
        (work / "slide.json").write_text("newest")
        move_into_place(work, tmp_path, ["slide.csv", "slide.json"])
    assert {path.read_text() for path in tmp_path.iterdir()} == {"newest"}


needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a right there")


def list_tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


@needs_links
def test_a_link_named_like_the_folder_empties_nothing(tmp_path: Path) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    (victim / "letters").mkdir(parents=True)
    (victim / "letters" / "one").write_text("precious")
    (victim / "two").write_text("precious")
    out.mkdir()
    (out / ".slide.glandseg").symlink_to(victim)
    before = list_tree(victim)
    with pytest.raises(EnvironmentLacksError, match=r"\.slide\.glandseg: is a link"):
        work_on(out, FACTS, fail=False)
    assert list_tree(victim) == before


@needs_links
@pytest.mark.parametrize(
    "name", ["lock", "job.json", "job.json.part", "finished.windows", "older", "mask.map"]
)
def test_a_link_inside_the_folder_harms_nothing(name: str, tmp_path: Path) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    (victim / "file").mkdir(parents=True)
    (victim / "one").write_text("precious")
    work = out / ".slide.glandseg"
    work.mkdir(parents=True)
    (work / name).symlink_to(victim / "one" if "." in name or name == "lock" else victim)
    before = list_tree(victim)
    with pytest.raises(EnvironmentLacksError, match=rf"{name}: is a link"):
        work_on(out, FACTS, fail=False)
    assert list_tree(victim) == before


def test_a_lock_left_behind_by_a_dead_process_binds_nobody(tmp_path: Path) -> None:
    (tmp_path / ".slide.glandseg").mkdir()
    (tmp_path / ".slide.glandseg" / LOCK).touch()
    assert work_on(tmp_path, FACTS, fail=False) == ["found nothing"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no open file can be removed there")
def test_the_lock_file_goes_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file removed after its release may be another process's: a third one would then get in too."""
    there: list[bool] = []
    release = FileLock.release

    def watch(lock: FileLock, force: bool = False) -> None:
        there.append((tmp_path / ".slide.glandseg" / LOCK).exists())
        release(lock, force)

    monkeypatch.setattr(FileLock, "release", watch)
    work_on(tmp_path, FACTS, fail=False)
    assert there[0] is False


@pytest.mark.skipif(os.name == "nt", reason="no open file can be removed there")
def test_two_never_work_on_one_slide(tmp_path: Path) -> None:
    """A second process opens the lock file while the first holds it, and gets it when the first ends."""
    import fcntl

    path = tmp_path / ".slide.glandseg" / LOCK
    with open_work_folder(tmp_path, "slide", FACTS, print):
        second = os.open(path, os.O_RDWR)
    fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert os.fstat(second).st_nlink == 0  # by which filelock tells that this lock is none
    os.close(second)


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOLCK) -> None:
    """Let no file be locked, as on some network file systems."""

    def refuse(lock: FileLock, *arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "_acquire", refuse)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_share_without_locks_gets_a_file_that_names_the_process(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_locks(monkeypatch, number)
    with open_work_folder(tmp_path, "slide", FACTS, print) as work:
        assert str(os.getpid()) in (work / PID_LOCK).read_text()
        with pytest.raises(EnvironmentLacksError, match=r"another glandseg.*remove \.slide\.glandseg"):
            work_on(tmp_path, FACTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("age_s", "is_taken"), [(folder_lock.LEASE_S - 60, False), (folder_lock.LEASE_S + 60, True)]
)
def test_a_lock_outlives_a_lost_host_by_a_while_only(
    age_s: float, is_taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_locks(monkeypatch)
    with contextlib.suppress(InterruptedError), open_work_folder(tmp_path, "slide", FACTS, print) as work:
        lost = (work / PID_LOCK).read_text().replace(socket.gethostname(), "lost-host")
        (work / "finished.windows").write_text("window")
        raise InterruptedError
    assert "lost-host" in lost
    (work / PID_LOCK).write_text(lost)
    os.utime(work / PID_LOCK, (time.time() - age_s,) * 2)
    if is_taken:
        assert work_on(tmp_path, FACTS) == ["found window"]
    else:
        with pytest.raises(EnvironmentLacksError, match="another glandseg"):
            work_on(tmp_path, FACTS)


def test_a_process_that_lost_its_lock_while_it_stood_still_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_locks(monkeypatch)
    monkeypatch.setattr(folder_lock, "HEARTBEAT_S", 0.05)
    with (
        pytest.raises(EnvironmentLacksError, match=r"its lock is lost.*another glandseg"),
        open_work_folder(tmp_path, "slide", FACTS, print) as work,
    ):
        (work / PID_LOCK).unlink()
        (work / PID_LOCK).write_text("another process")
        for _ in range(3000):
            time.sleep(0.01)


@pytest.mark.skipif(os.name == "nt", reason="no folder in use can be moved there")
@pytest.mark.parametrize("lose", [lambda out: out.rename(out.with_name("elsewhere")), shutil.rmtree])
def test_a_folder_that_vanishes_is_told(lose: Callable[[Path], object], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        pytest.raises(EnvironmentLacksError, match=r"out: was moved or removed"),
        open_work_folder(out, "slide", FACTS, print) as work,
    ):
        (work / "slide.csv").write_text("new")
        lose(out)
        move_into_place(work, out, ["slide.csv"])


def test_a_file_that_is_missing_for_another_reason_is_no_lost_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_work_folder(tmp_path, "slide", FACTS, print) as work:
        (work / "none").read_text()


def test_other_work_that_cannot_be_removed_is_not_taken_for_this(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_on(tmp_path, FACTS)
    monkeypatch.setattr("glandseg.runtime.work_folder._remove", lambda work: None)
    with pytest.raises(EnvironmentLacksError, match="is of other work and cannot be removed"):
        work_on(tmp_path, FACTS | {"scales": [2.0]})


def test_maps_and_whole_outputs_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_work_folder(tmp_path, "slide", FACTS, print) as work:
        for name in ("finished.windows", "unread.jsonl", "probability.map", "slide.csv"):
            (work / name).write_text("some")
        raise RuntimeError
    assert sorted(path.name for path in work.iterdir()) == ["finished.windows", "job.json", "unread.jsonl"]


def test_processes_that_come_and_go_never_meet(tmp_path: Path) -> None:
    """Threads stand for them, for each opens the lock file by itself."""
    inside, faults = tmp_path / "inside", list[BaseException]()

    def come() -> None:
        try:
            with open_work_folder(tmp_path, "slide", FACTS, lambda text: None):
                inside.touch(exist_ok=False)
                inside.unlink()
        except Exception as error:
            if "another glandseg" not in str(error):
                faults.append(error)

    def come_often() -> None:
        for _ in range(20):
            come()

    threads = [threading.Thread(target=come_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list(tmp_path.iterdir()) == []
