"""Scores of a model on images that were changed as scanners, laboratories and files change them.

Each change is applied to the images, which are then scored as by `glandseg evaluate`; a wrong um/px is stated
for unchanged images. The table gives each score and what the change costs.

    python benchmarks/robustness.py MODEL --data DATA --part testA --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.measured_on import describe_circumstances
from glandseg.runtime.settings import InferSettings
from glandseg.training.data.augment import STAINS_OD, UNMIX
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.evaluate import choose_part, evaluate, keep_outlined
from glandseg.training.evaluation.scored_model import ScoredModel, open_model

Pixels = NDArray[np.uint8]
SCORES = ("miou", "f1", "object_f1")
H, E = 0, 1  # rows of STAINS_OD: haematoxylin, eosin


def compress(image: Pixels, quality: int) -> Pixels:
    """Store as JPEG and read again."""
    stored = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    return decoded[..., ::-1]


def blur(image: Pixels, sigma_px: float) -> Pixels:
    """Blur by a Gaussian."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)


def stain(image: Pixels, row: int, factor: float) -> Pixels:
    """Multiply the optical density of a stain."""
    density = -np.log((image.astype(np.float32) + 1) / 256) @ UNMIX
    density[..., row] *= factor
    return np.asarray(np.clip(256 * np.exp(-density @ STAINS_OD) - 1, 0, 255).round(), np.uint8)


def brighten(image: Pixels, factor: float) -> Pixels:
    """Multiply the light."""
    return np.asarray(np.clip(image * np.float32(factor), 0, 255).round(), np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    **{f"JPEG, quality {quality}": partial(compress, quality=quality) for quality in (95, 75, 50, 30)},
    **{f"blur, sigma {sigma:g} px": partial(blur, sigma_px=sigma) for sigma in (0.5, 1, 2)},
    **{f"haematoxylin x {factor}": partial(stain, row=H, factor=factor) for factor in (0.7, 1.4)},
    **{f"eosin x {factor}": partial(stain, row=E, factor=factor) for factor in (0.7, 1.4)},
    **{f"brightness x {factor}": partial(brighten, factor=factor) for factor in (0.8, 1.2)},
}
WRONG_UM = {f"um/px stated {100 * error:+.0f} %": 1 + error for error in (-0.2, -0.1, 0.1, 0.2)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Score every change, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="model file or run folder")
    parser.add_argument("--data", type=Path, required=True, help="data folder with outline masks")
    parser.add_argument("--part", required=True, help="part of it, such as testA or test")
    parser.add_argument("--mpp", type=float, help="um/px of the images, if not that of the data set")
    parser.add_argument("--every", type=int, default=1, help="score every N-th image")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    data_set = keep_outlined(find_samples(options.data))
    samples = choose_part(data_set, options.part)[:: options.every]
    image_um = options.mpp or data_set.um_per_px
    if image_um is None:
        parser.error(f"{options.data}: its um/px is unknown. Give --mpp.")
    with open_model(options.model, threads=options.threads) as model:
        score = partial(score_images, model, objects=data_set.kind == "glas")
        scores = {"unchanged": score(samples, image_um)}
        for name, change in CHANGES.items():
            with tempfile.TemporaryDirectory() as folder:
                scores[name] = score([store(each, change, Path(folder)) for each in samples], image_um)
        scores |= {name: score(samples, image_um * factor) for name, factor in WRONG_UM.items()}
        facts = {"model": model.name, "sha256": model.sha256, "scales": list(model.scales)}
    print(format_table(scores))
    result = {
        "model": facts,
        "data": {"kind": data_set.kind, "part": options.part, "images": len(samples), "um_per_px": image_um},
        "scores": scores,
        **describe_circumstances(),
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def store(sample: Sample, change: Callable[[Pixels], Pixels], folder: Path) -> Sample:
    """Write a changed image into a folder, without loss, and return its sample."""
    path = folder / f"{sample.path.stem}.png"
    encode_png(path, change(sample.read()))
    return replace(sample, path=path)


def score_images(
    model: ScoredModel, samples: Sequence[Sample], image_um: float, *, objects: bool
) -> dict[str, float]:
    """Score images as `glandseg evaluate` does."""
    evaluation = evaluate(
        samples,
        model.backend,
        image_um=image_um,
        model_um=model.um_per_px,
        scales=model.scales,
        settings=InferSettings(flips=model.flips),
        rule=model.separation,
        objects=objects,
    )
    found = evaluation.list_scores()
    return {name: round(found[name], 2) for name in SCORES if name in found}


def format_table(scores: dict[str, dict[str, float]]) -> str:
    """Format scores, and in brackets their difference to those of the unchanged images."""
    plain: dict[str, Any] = scores["unchanged"]
    lines = [f"| | {' | '.join(plain)} |", f"|---|{'--:|' * len(plain)}"]
    for name, each in scores.items():
        cells = [f"{each[key]:.2f} ({each[key] - plain[key]:+.2f})" for key in plain]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
