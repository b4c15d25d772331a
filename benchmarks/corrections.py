"""What corrections gain: the bundled model learns a few of GlaS's training images, scored on other patients.

    python benchmarks/corrections.py GLAS --images 12 --seed 0 --json benchmarks/results/corrections.json

The corrections are simulated: each image is a slide whose region is marked whole, and the truth is what a
pathologist would have drawn. Patients are apart. GlaS testA is not read.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
import torch

from benchmarks.measured_on import describe_circumstances
from glandseg.model.files import find_bundled
from glandseg.synthetic import write_slide
from glandseg.training.correction import learn_corrections, plan_correction
from glandseg.training.data.borders import number_glands
from glandseg.training.data.datasets import Sample, find_samples
from glandseg.training.evaluation.evaluate import score_model
from glandseg.training.evaluation.scored_model import open_model
from glandseg.training.settings_file import override_settings

UM_PER_PX = 0.62


def main() -> None:
    """Correct, learn, and score on the patients that are left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("glas", type=Path)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    samples = [sample for sample in find_samples(args.glas).samples if sample.part == "train"]
    corrected, others = choose(samples, args.images, args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sample in corrected:
            write_correction(sample, folder / "slides")
        start = time.monotonic()
        correction = learn_corrections(
            [folder / "slides"],
            folder / "run",
            override_settings(plan_correction("bundled"), args.set),
            mpp=None,
            report=lambda stage, progress: None,
            say=print,
        )
        seconds = time.monotonic() - start
        after = score(correction.run.path, others)
    result: dict[str, Any] = {
        "corrected_images": len(corrected),
        "corrected_patients": len({sample.group for sample in corrected}),
        "settings": args.set,
        "seconds": round(seconds),
        "held_out_regions": {"before": correction.before, "after": correction.after},
        "other_patients": {"before": score(find_bundled().path, others), "after": after},
        **describe_circumstances(),
    }
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8")


def choose(samples: Sequence[Sample], count: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return at least `count` images of whole patients to correct, and those of the other patients."""
    by_patient: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_patient[sample.group].append(sample)
    patients = sorted(by_patient)
    random.Random(seed).shuffle(patients)
    corrected: list[Sample] = []
    while len(corrected) < count:
        corrected += by_patient[patients.pop()]
    return corrected, [sample for patient in patients for sample in by_patient[patient]]


def write_correction(sample: Sample, folder: Path) -> None:
    """Write an image as a slide, and its glands as a pathologist would export them, the whole marked."""
    folder.mkdir(exist_ok=True)
    image = sample.read()
    height, width = image.shape[:2]
    write_slide(folder / f"{sample.name}.tif", image, UM_PER_PX)
    frame = [[0, 0], [width, 0], [width, height], [0, height], [0, 0]]
    features = [describe("Region*", frame)]
    labels = number_glands(sample.read_glands(image.shape))
    for number in range(1, int(labels.max()) + 1):
        outlines, _ = cv2.findContours(
            (labels == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        for outline in outlines:
            area = shapely.buffer(shapely.Polygon(outline[:, 0] + 0.5), 0.5) if len(outline) > 10 else None
            parts = shapely.get_parts(area) if area is not None else ()
            features += [describe("Gland", [list(xy) for xy in part.exterior.coords]) for part in parts]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (folder / f"{sample.name}.geojson").write_text(text, encoding="utf-8")


def describe(name: str, ring: list[Any]) -> dict[str, Any]:
    """Return a polygon of a class as QuPath exports it."""
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


def score(model: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """Score a model file or a run as `glandseg evaluate` does."""
    with open_model(model) as opened:
        return score_model(opened, samples, UM_PER_PX, objects=True)


if __name__ == "__main__":
    main()
