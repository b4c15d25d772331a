"""`glandseg check` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.runtime.checks.test_check_output import UUIDS, make

RunCommand = Callable[..., Any]


def write(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def test_faults_are_printed_and_decide_the_exit_code(tmp_path: Path, run_command: RunCommand) -> None:
    good, bad = write(tmp_path / "good.geojson", make()), write(tmp_path / "bad.geojson", make(identity="7"))
    done = run_command("check", good)
    assert (done.code, done.out, done.err) == (0, [f"{good}: no fault"], [])
    done = run_command("check", good, bad)
    assert done.code == 1
    assert done.err == [
        f"{bad}: feature 1 has the id '7', which is no UUID", "1 file of 2 with faults"
    ]  # fmt: skip


def test_many_faults_are_cut_short(tmp_path: Path, run_command: RunCommand) -> None:
    bad = write(tmp_path / "bad.geojson", *[make(identity="7")] * 30)
    done = run_command("check", bad)
    assert len(done.err) == 22
    assert "more than 20 faults" in done.err[-2]


def test_faults_as_json(tmp_path: Path, run_command: RunCommand) -> None:
    bad = write(tmp_path / "bad.geojson", make(identity=UUIDS[0]), make(identity=UUIDS[0]))
    done = run_command("check", "--json", bad)
    assert done.code == 1
    (faults,) = json.loads("\n".join(done.out)).values()
    assert faults == [{"place": "feature 2", "text": f"has the id {UUIDS[0]} of an earlier one"}]


def test_a_missing_file_is_bad_input(tmp_path: Path, run_command: RunCommand) -> None:
    assert run_command("check", tmp_path / "none.geojson").code == 2


def test_a_whole_folder_of_outputs_can_be_given(tmp_path: Path, run_command: RunCommand) -> None:
    good = write(tmp_path / "a.glands.geojson", make())
    others = [tmp_path / f"a{suffix}" for suffix in (".overview.png", ".report.html", ".run.json")]
    for path in others:
        path.write_text("{}", encoding="utf-8")
    done = run_command("check", good, *others)
    assert done.code == 0 and done.out[-1] == f"{good}: no fault"
    assert [line.partition(":")[0] for line in done.out[:3]] == [str(path) for path in others]
