"""What do the papers' eight scales gain, and what is left of it when most run only where two are uncertain?

Every window of every scale is run once and kept; then the full list, single scales and the adaptive rule are
scored from the same probabilities, with several settings.

    python benchmarks/adaptive_scales.py ../shared/data/glas --part train --um 0.62 --out FILE.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.model.backend import Network
from glandseg.model.card import GLAND
from glandseg.model.files import find_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.settings import PAPER_SCALES
from glandseg.runtime.tiling import adaptive
from glandseg.runtime.tiling.adaptive import AdaptiveOrder
from glandseg.runtime.tiling.blend import GetWindow
from glandseg.runtime.tiling.flip import FlipAverage
from glandseg.runtime.tiling.order import list_windows
from glandseg.runtime.tiling.scales import ScalePlane, average_scales
from glandseg.runtime.tiling.window_store import Key, WindowStore
from glandseg.slides.open import open_slide
from glandseg.slides.scaled_plane import RescaledPlane
from glandseg.slides.slide_plane import SlidePlane
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.evaluate import choose_part
from glandseg.training.evaluation.metrics import Confusion

BATCH = 8
BASE = [(1.25, 1.75), (1.0, 1.25), (1.0, 1.25, 1.5)]
SHARES = (0.1, 0.2, 0.3)
Scores = dict[str, tuple[Confusion, int]]  # by rule: pixels counted, windows run


def main() -> None:
    """Score every rule on every image, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", default="train")
    parser.add_argument("--um", type=float, required=True, help="um/px of the images")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument("--flips", action="store_true", help="average with the mirror image too")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    images = choose_part(find_samples(args.data), args.part)[:: args.every]
    file = find_model(args.model)
    totals: Scores = {}
    with CpuSession(file.path) as session:
        network: Network = FlipAverage(session) if args.flips else session
        for image in images:
            with tempfile.TemporaryDirectory() as folder, WindowStore(Path(folder) / "all.windows") as store:
                planes = lay_planes(image, args.um, session.card.um_per_px)
                run_all(planes, network, store)
                add(totals, score_rules(planes, store, image))
    rows = {name: (100 * confusion.miou, windows) for name, (confusion, windows) in totals.items()}
    for name, (miou, windows) in rows.items():
        print(f"{name:<44}{miou:8.2f} % {windows:8} windows")
    if args.out:
        facts = {
            "data": args.data.name,
            "part": args.part,
            "images": len(images),
            "flips": args.flips,
            "model_sha256": file.sha256,
            "rules": {name: {"miou": round(miou, 2), "windows": n} for name, (miou, n) in rows.items()},
            "date": date.today().isoformat(),
        }
        args.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def lay_planes(image: Sample, image_um: float, model_um: float) -> list[ScalePlane]:
    """Lay a plane over an image for each of the papers' scales."""
    base = SlidePlane(open_slide(image.path, image_um), model_um)
    return [
        ScalePlane(scale=scale, plane=RescaledPlane(base, scale), wanted=lambda *rectangle: True)
        for scale in PAPER_SCALES
    ]


def run_all(planes: Sequence[ScalePlane], network: Network, store: WindowStore) -> None:
    """Run every window of every plane."""
    keys = list_windows(planes, 0, planes[0].plane.height_px * 99)
    for first in range(0, len(keys), BATCH):
        part = keys[first : first + BATCH]
        windows = np.stack([planes[key.plane].read(key.row, key.column) for key in part])
        for key, probability in zip(part, network.infer(windows)[:, GLAND], strict=True):
            store.append(key, probability)


def score_rules(planes: Sequence[ScalePlane], store: WindowStore, image: Sample) -> Scores:
    """Score single scales, the full list and the adaptive rule with each of its settings."""
    scores = {f"scale {planes[i].scale:g}": score(planes, store, image, [i]) for i in range(len(planes))}
    scores["all scales"] = score(planes, store, image, range(len(planes)))
    for base in BASE:
        indices = [PAPER_SCALES.index(scale) for scale in base]
        scores[f"base {base} alone"] = score(planes, store, image, indices)
        for share in SHARES:
            adaptive.MIN_UNCERTAIN = share
            scores[f"base {base}, uncertain {share}"] = score_adaptive(planes, store, image, indices)
    return scores


def score(
    planes: Sequence[ScalePlane], store: WindowStore, image: Sample, indices: Sequence[int]
) -> tuple[Confusion, int]:
    """Score the mean of some scales, each run everywhere."""
    ran = {key for key in store if key.plane in indices}
    return compare(planes, store, image, ran), len(ran)


def score_adaptive(
    planes: Sequence[ScalePlane], store: WindowStore, image: Sample, base_scales: Sequence[int]
) -> tuple[Confusion, int]:
    """Score the adaptive rule."""
    order = [*base_scales, *(index for index in range(len(planes)) if index not in base_scales)]
    base = next(item for item in planes if item.scale == 1).grid
    steps = AdaptiveOrder(
        planes=[planes[index] for index in order],
        base_scales=len(base_scales),
        store=Renumbered(store, order),  # type: ignore[arg-type]
        height_px=base.height_px,
        width_px=base.width_px,
        swath_px=4096,
    )
    ran = {key._replace(plane=order[key.plane]) for step in steps for key in step.windows}
    return compare(planes, store, image, ran), len(ran)


class Renumbered:
    """A store whose planes are in another order."""

    def __init__(self, store: WindowStore, order: Sequence[int]) -> None:
        self._store, self._order = store, order

    def get_from(self, plane: int) -> GetWindow:
        """Return the function that yields a plane's windows, by its position in the order."""
        return self._store.get_from(self._order[plane])


def compare(planes: Sequence[ScalePlane], store: WindowStore, image: Sample, ran: set[Key]) -> Confusion:
    """Compare the mean of the windows that ran with the image's outlines, px by px of the base plane."""

    def get(index: int, row: int, column: int) -> NDArray[np.uint8] | None:
        key = Key(index, row, column)
        return store.get(key) if key in ran else None

    base = next(item for item in planes if item.scale == 1)
    gets = [lambda row, column, index=index: get(index, row, column) for index in range(len(planes))]
    height, width = base.grid.height_px, base.grid.width_px
    mask = average_scales(planes, gets, 0, 0, height, width) >= 128
    truth = image.read_mask(None)
    rows, columns = (
        np.minimum(((np.arange(size) + 0.5) / base.plane.l0_per_px).astype(np.intp), limit - 1)
        for size, limit in zip(truth.shape, mask.shape, strict=True)
    )
    return Confusion.of(mask[np.ix_(rows, columns)], truth == 1)


def add(totals: Scores, scores: Scores) -> None:
    """Add an image's scores."""
    for name, (confusion, windows) in scores.items():
        known = totals.get(name, (Confusion.empty(), 0))
        totals[name] = (known[0] + confusion, known[1] + windows)


if __name__ == "__main__":
    main()
