"""Join EBHI-Seg's gland-bearing and malignant images into one data folder with one split by patient.

    python benchmarks/join_ebhi.py EBHI MALIGNANT OUT [--negatives PATCHES --mpp 1.4]

EBHI and MALIGNANT each hold `images`, `masks` and `index.csv` (name, class, patient). Test patients of EBHI
stay those that `glandseg train EBHI` splits off, so that a model learned from its other patients can be the
start; of the patients in MALIGNANT alone, the same share is split off. OUT gets links and an `index.csv`
with a column `part`. PATCHES holds `patches.csv` (file, gland, patient, um_per_px, class, dataset): its
patches without gland, but those of a published test set, join the training images at the um/px of EBHI.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from glandseg.training.data.datasets import find_samples
from glandseg.training.data.decoding import read_rgb
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.data.splits import find_groups, split_samples

PUBLISHED_TEST = "CRC-VAL-HE-7K"
Row = dict[str, str]


def main() -> None:
    """Join the folders named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("ebhi", "malignant", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--negatives", type=Path)
    parser.add_argument("--mpp", type=float, default=1.4)
    options = parser.parse_args()
    for kind in ("images", "masks"):
        (options.out / kind).mkdir(parents=True)
    test = find_test_patients(options.ebhi, options.malignant)
    rows = []
    for folder in (options.ebhi, options.malignant):
        for kind in ("images", "masks"):
            for path in sorted((folder / kind).iterdir()):
                (options.out / kind / path.name).symlink_to(path.resolve())
        rows += [
            row | {"part": "test" if row["patient"] in test else "train"}
            for row in read_rows(folder / "index.csv")
        ]
    if options.negatives:
        rows += add_negatives(options.negatives, options.out, options.mpp)
    with (options.out / "index.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["name", "class", "patient", "part"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    tested = sum(row["part"] == "test" for row in rows)
    print(f"{options.out}: {len(rows)} images, {tested} of them to test on")


def find_test_patients(ebhi: Path, malignant: Path) -> set[str]:
    """Return the patients to test on."""
    known = find_samples(ebhi)
    others = [
        each for each in find_samples(malignant).samples if each.group not in find_groups(known.samples)
    ]
    return find_groups(split_data_set(known).test) | find_groups(split_samples(others).test)


def add_negatives(folder: Path, out: Path, mpp: float) -> Iterator[Row]:
    """Write patches without gland with empty masks, and yield their rows."""
    for row in read_rows(folder / "patches.csv"):
        if row["gland"] != "0" or row["dataset"] == PUBLISHED_TEST:
            continue
        image, factor = read_rgb(folder / row["file"]), float(row["um_per_px"]) / mpp
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        name = Path(row["file"]).stem
        encode_png(out / "images" / f"{name}.png", np.asarray(small, np.uint8))
        encode_png(out / "masks" / f"{name}.png", np.zeros(small.shape[:2], np.uint8))
        yield {"name": name, "class": row["class"], "patient": row["patient"] or name, "part": "train"}


def read_rows(table: Path) -> list[Row]:
    """Read the rows of a table."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
