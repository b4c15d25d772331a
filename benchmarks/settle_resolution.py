"""At which um/px does a model score best on GlaS? This decides the um/px of training images that state none.

GlaS's um/px is known. A model that learned from images of unknown um/px is run on GlaS's training images
as if its own um/px were each of several; the best is that of the images it learned from.

    python benchmarks/settle_resolution.py ../shared/data/glas --model models/NAME/NAME.onnx
"""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path

from glandseg.model.files import find_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.training.data.datasets import GLAS_UM_PER_PX, find_samples
from glandseg.training.evaluation.evaluate import choose_part, evaluate


def main() -> None:
    """Score every um/px of the options, and print the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("glas", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--um", type=float, nargs="+", default=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8])
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    images = choose_part(find_samples(args.glas), "train")[:: args.every]
    file, scores = find_model(args.model), {}
    with CpuSession(file.path, threads=args.threads) as session:
        for um in args.um:
            result = evaluate(images, session, image_um=GLAS_UM_PER_PX, model_um=um)
            scores[um] = result.list_scores()["miou"]
            print(f"{um:.2f} um/px: mIoU {scores[um]:.2f} %", flush=True)
    best = max(scores, key=lambda um: scores[um])
    print(f"best: {best:.2f} um/px")
    if args.out:
        facts = {
            "model_sha256": file.sha256,
            "images": len(images),
            "miou": scores,
            "best_um_per_px": best,
            "date": date.today().isoformat(),
        }
        args.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
