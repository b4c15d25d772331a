"""A result is whole, of no machine, and one of several that differ in their seeds alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results_ledger.reading import read_results
from benchmarks.results_ledger.result import ENTRIES, FOLDER
from glandseg.core.errors import BadInputError
from tests.benchmarks.results_ledger.conftest import SCORES, MakeResult


def test_results_of_the_ledger_are_whole() -> None:
    assert read_results(FOLDER)


def test_results_come_back_by_row_and_seed(tmp_path: Path, make_result: MakeResult) -> None:
    for row, seed in (("glas-outlines", 10), ("glas-outlines", 2), ("bundled-on-glas", None)):
        make_result(row, seed).write(tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "bundled-on-glas.json",
        "glas-outlines.seed-10.json",
        "glas-outlines.seed-2.json",
    ]
    found = read_results(tmp_path)
    assert [(each.row, each.seed) for each in found] == [
        ("bundled-on-glas", None),
        ("glas-outlines", 2),
        ("glas-outlines", 10),
    ]
    assert found[0].scores == SCORES


def test_a_rerun_replaces_the_result(tmp_path: Path, make_result: MakeResult) -> None:
    for miou in (70.0, 71.0):
        make_result("glas-outlines", 0, miou).write(tmp_path)
    assert [each.scores["miou"] for each in read_results(tmp_path)] == [71.0]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_needed(entry: str, make_result: MakeResult) -> None:
    for name in ENTRIES[entry]:
        whole = make_result("glas-outlines", 0)
        values = {key: value for key, value in getattr(whole, entry).items() if key != name}
        with pytest.raises(BadInputError, match=f"glas-outlines: {entry} needs .*{name}"):
            replace(whole, **{entry: values})


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"row": "GlaS outlines"}, "lower-case words"),
        ({"commit": "abc"}, "hashes"),
        ({"scores": SCORES | {"miou": 100.1}}, "scores: miou is 100.1"),
        ({"scores": SCORES | {"dice": float("nan")}}, "scores: dice is nan"),
        ({"scores": {"miou": 80.0}}, "scores lacks"),
        ({"groups": {"benign": SCORES | {"f1": "89"}}}, "benign: f1 is '89'"),
        ({"command": "python x /home/me/run"}, "a path of one machine"),
        ({"command": "python x --data=/data"}, "a path of one machine"),
        ({"command": "python x D:\\runs\\1"}, "a path of one machine"),
        ({"command": "python x ~/run"}, "a path of one machine"),
    ],
)
def test_a_wrong_entry_is_refused(entries: dict[str, Any], message: str, make_result: MakeResult) -> None:
    with pytest.raises(BadInputError, match=message):
        replace(make_result("glas-outlines", 0), **entries)


def test_a_seed_that_is_not_the_trainings_is_refused(make_result: MakeResult) -> None:
    with pytest.raises(BadInputError, match="seed is 1, that of the training 0"):
        replace(make_result("glas-outlines", 0), seed=1)


def test_distances_may_exceed_a_hundred(make_result: MakeResult) -> None:
    result = make_result("glas-outlines", 0, scores=SCORES | {"object_hausdorff_px": 141.0})
    assert result.scores["object_hausdorff_px"] == 141


def test_a_misnamed_or_damaged_file_is_refused(tmp_path: Path, make_result: MakeResult) -> None:
    path = make_result("glas-outlines", 0).write(tmp_path)
    moved = path.rename(tmp_path / "glas-outlines.seed-1.json")
    with pytest.raises(BadInputError, match=r"its row and seed make it glas-outlines\.seed-0\.json"):
        read_results(tmp_path)
    values = json.loads(moved.read_text(encoding="utf-8"))
    for text in ("{", "[]", json.dumps(values | {"note": "by hand"})):
        moved.write_text(text, encoding="utf-8")
        with pytest.raises(BadInputError, match="seed-1.json: "):
            read_results(tmp_path)


def test_seeds_of_a_row_must_be_the_same_measurement(tmp_path: Path, make_result: MakeResult) -> None:
    first, second = (make_result("glas-outlines", seed) for seed in (0, 1))
    first.write(tmp_path)
    assert second.training
    settings = second.training["settings"]
    longer = settings["segmenter"] | {"fit": settings["segmenter"]["fit"] | {"steps": 7}}
    others: list[tuple[str, dict[str, Any]]] = [
        ("data", {**second.data, "sha256": "c" * 64}),
        ("inference", {**second.inference, "flips": True}),
        ("training", {**second.training, "settings": settings | {"segmenter": longer}}),
    ]
    for entry, values in others:
        replace(second, **{entry: values}).write(tmp_path)
        with pytest.raises(BadInputError, match=rf"seed-1\.json: {entry} differs from .*seed-0\.json"):
            read_results(tmp_path)
    seeded = settings["segmenter"] | {"fit": settings["segmenter"]["fit"] | {"seed": 1}}
    replace(second, training={**second.training, "settings": settings | {"segmenter": seeded}}).write(
        tmp_path
    )
    assert len(read_results(tmp_path)) == 2


def test_the_same_weights_do_not_count_twice(tmp_path: Path, make_result: MakeResult) -> None:
    first, second = (make_result("glas-outlines", seed) for seed in (0, 1))
    first.write(tmp_path)
    replace(second, model=first.model).write(tmp_path)
    with pytest.raises(BadInputError, match=r"has the weights of glas-outlines\.seed-0\.json"):
        read_results(tmp_path)
