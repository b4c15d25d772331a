"""The table shows every model and part, spreads and p-values; the JSON keeps everything."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.evaluation.evaluate import Evaluation, ImageScore
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evaluation.object_metrics import ObjectAgreement
from glandseg.training.evaluation.score_table import Scored, ScoreTable
from glandseg.training.evaluation.scored_model import ScoredModel
from glandseg.training.evaluation.significance import compare_groups, mark_significance, summarise

TRUTH = np.zeros((20, 40), np.uint8)
TRUTH[5:15, 10:30] = 1


class NoBackend(contextlib.nullcontext["NoBackend"]):
    name, classes = "none", 2

    def __init__(self) -> None:
        super().__init__(self)

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        raise NotImplementedError


def make_samples(part: str, count: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(name=f"{part}_{index}", path=Path("x.png"), group=f"patient {index}", part=part)
        for index in range(count)
    )


PARTS = {"testA": make_samples("testA", 3), "testB": make_samples("testB", 2)}
DATA = DataSet(
    kind="glas", samples=(*make_samples("train", 4), *PARTS["testA"], *PARTS["testB"]), um_per_px=0.62
)


def score(name: str, shift: int, *, against: bool = False, seen: frozenset[str] = frozenset()) -> Scored:
    """A model that is off by `shift` px, and by one more from image to image."""
    samples = {}
    for index, sample in enumerate((*PARTS["testA"], *PARTS["testB"])):
        mask = np.roll(TRUTH, shift + index, 1) == 1
        samples[sample.name] = ImageScore(
            confusion=Confusion.of(mask, TRUTH == 1), objects=ObjectAgreement.of(mask.astype(np.uint8), TRUTH)
        )
    model = ScoredModel(
        name=name,
        path=Path(f"{name}.onnx"),
        sha256=name * 8,
        um_per_px=0.62,
        scales=(1.0,),
        backend=NoBackend(),
        data="glas",
        seen=seen,
    )
    return Scored(model=model, name=name, evaluation=Evaluation(samples=samples), against=against)


def read_rows(text: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def test_one_model_has_a_row_for_each_part_and_one_for_all() -> None:
    table = ScoreTable(DATA, PARTS, [score("a", 1)])
    header, _, *rows = read_rows(table.to_markdown())
    assert header[:4] == ["model", "part", "images", "mIoU %"] and header[-1] == "object Hausdorff px"
    assert [row[:3] for row in rows] == [["a", "testA", "3"], ["a", "testB", "2"], ["a", "testA+testB", "5"]]
    assert float(rows[0][-1]) == 2 and float(rows[1][-1]) == 4.5 and float(rows[2][-1]) == 3  # px


def test_seeds_are_summarised_and_compared() -> None:
    scored = [
        *(score(f"a{shift}", shift) for shift in (1, 2)),
        *(score(f"b{shift}", shift, against=True) for shift in (6, 7, 8)),
    ]
    table = ScoreTable(DATA, {"testA": PARTS["testA"]}, scored)
    rows = read_rows(table.to_markdown())
    assert [row[0] for row in rows[-3:]] == ["models: mean±std of 2", "against: mean±std of 3", "p-value"]
    miou = [each.evaluation.pick(PARTS["testA"]).list_scores()["miou"] for each in scored]
    assert rows[-3][3] == str(summarise(miou[:2])) and rows[-2][3] == str(summarise(miou[2:]))
    p_value = compare_groups(miou[:2], miou[2:])
    assert rows[-1][3] == f"{p_value:.2g} {mark_significance(p_value)}".strip()
    facts = json.loads(json.dumps(table.to_json()))
    assert facts["p_values"]["testA"]["miou"] == p_value
    assert facts["spreads"]["testA"]["against"]["miou"]["mean"] == pytest.approx(np.mean(miou[2:]))


def test_json_keeps_hashes_images_and_parts() -> None:
    facts = json.loads(json.dumps(ScoreTable(DATA, PARTS, [score("a", 1)]).to_json()))
    (model,) = facts["models"]
    assert (model["sha256"], model["file"], facts["data"]) == ("aaaaaaaa", "a.onnx", "glas")
    assert facts["parts"]["testB"] == ["testB_0", "testB_1"] and facts["date"].startswith("20")
    assert set(model["images"]) == {"testA_0", "testA_1", "testA_2", "testB_0", "testB_1"}
    assert set(model["scores"]) == {"testA", "testB", "testA+testB"}
    assert facts["p_values"]["testA"] == {} and facts["spreads"]["testA"] == {}


def test_leaks_are_noted() -> None:
    text = ScoreTable(DATA, PARTS, [score("a", 1, seen=frozenset({"testA_0", "other"}))]).to_markdown()
    assert "3 of the published test's 3 patients are in its training part too" in text
    assert "a was trained or validated on 1 of these 5 images." in text


def test_a_single_run_cannot_be_compared() -> None:
    table = ScoreTable(DATA, PARTS, [score("a", 1), score("b", 2, against=True)])
    with pytest.raises(BadInputError, match="at least two runs"):
        table.to_markdown()
