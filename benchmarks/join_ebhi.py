"""Join EBHI-Seg's gland-bearing and malignant images into one data folder with one split by patient.

    python benchmarks/join_ebhi.py EBHI MALIGNANT OUT

EBHI and MALIGNANT each hold `images`, `masks` and `index.csv` (name, class, patient). Test patients of EBHI
stay those that `glandseg train EBHI` splits off, so that a model learned from its other patients can be the
start; of the patients in MALIGNANT alone, the same share is split off. OUT gets links and an `index.csv`
with a column `part`.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from glandseg.training.data.datasets import find_samples
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.data.splits import find_groups, split_samples


def main() -> None:
    """Join the folders named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("ebhi", "malignant", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    known = find_samples(options.ebhi)
    malignant = find_samples(options.malignant)
    test = find_groups(split_data_set(known).test)
    others = [each for each in malignant.samples if each.group not in find_groups(known.samples)]
    test |= find_groups(split_samples(others).test)
    rows = []
    for folder in (options.ebhi, options.malignant):
        for kind in ("images", "masks"):
            (options.out / kind).mkdir(parents=True, exist_ok=True)
            for path in sorted((folder / kind).iterdir()):
                (options.out / kind / path.name).symlink_to(path.resolve())
        with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    with (options.out / "index.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["name", "class", "patient", "part"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row | {"part": "test" if row["patient"] in test else "train"} for row in rows)
    print(
        f"{options.out}: {len(rows)} images, {sum(row['patient'] in test for row in rows)} of them to test on"
    )


if __name__ == "__main__":
    main()
