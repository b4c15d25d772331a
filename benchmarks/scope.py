"""Which images a model calls unlike those that it learned from: AUROC against colon in H&E.

    python benchmarks/join_ebhi.py DATA/ebhi DATA/ebhi_malignant JOINED
    python benchmarks/scope.py fit JOINED       # writes NAME.scope.json beside the bundled model
    python benchmarks/scope.py measure DATA --json benchmarks/results/scope.json

The score is the larger of the two distances, each by its limit. Blur, swapped channels, turned hues and
another chromogen are simulated on GlaS. The numbers that describe a window were chosen among 15 sets with
these groups and GlaS's training images in view; GlaS testA and the limits were not.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.measured_on import describe_circumstances
from glandseg.model.files import BUNDLED
from glandseg.runtime.tissue.appearance import SIDE_PX, measure_appearance
from glandseg.runtime.tissue.scope import Scope, fit_scope, read_scope, write_scope
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane

Pixels = NDArray[np.uint8]
ARTIFACTS = "artefacts"  # codespell:ignore artefacts
UM_PER_PX = 1.3  # of the bundled model, and assumed of EBHI-Seg
GLAS_UM, ATLAS_UM, ARTIFACT_UM = 0.62, 0.7, 0.5
# Optical density of haematoxylin and DAB in red, green, blue (Ruifrok and Johnston 2001), and eosin.
H, E, DAB = [0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]
SLIDES = {
    "skin, H&E": "CMU-1-Small-Region.svs",
    "false colors": "dicom-cmu-1-small-region",
    "fluorescence": "test3-TRITC.ndpi",
}


def main() -> None:
    """Fit the scope of the bundled model, or measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("do", choices=["fit", "measure"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.do == "fit":
        fit(args.data)
        return
    scope = read_scope(BUNDLED)
    assert scope is not None, "fit first"
    result = measure(scope, args.data) | describe_circumstances()
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8")


def fit(joined: Path) -> None:
    """Write the scope of the bundled model, from the images that it learned from."""
    with (joined / "index.csv").open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["part"] == "train"]
    paths = [next((joined / "images").glob(f"{name}.*")) for name in names]
    images = [look(read_image(path)) for path in paths]
    write_scope(fit_scope(images, "EBHI-Seg, training patients, all six classes (CC BY 4.0)"), BUNDLED)


def measure(scope: Scope, data: Path) -> dict[str, Any]:
    """Return the AUROC of each group against colon in H&E, and the share that gets a warning."""
    glas = read_glas(data, "train_*")
    atlas = list(read_atlas(data / "pathology_atlas"))
    groups = {
        "GlaS train": glas,
        "GlaS testA": read_glas(data, "testA_*"),
        "colon, Pathology Atlas": [image for organ, image in atlas if organ.startswith("colon")],
    }
    scores = {name: [score(scope, image) for image in images] for name, images in groups.items()}
    inside = [value for values in scores.values() for value in values]
    for name, images in list_outside(data, atlas, glas):
        scores[name] = [score(scope, image) for image in images]
    return {
        "inside": len(inside),
        "groups": {
            name: {
                "images": len(values),
                "auroc": None if name in groups else round(compute_auroc(inside, values), 3),
                "warned": round(float(np.mean([value > 1 for value in values])), 3),
            }
            for name, values in scores.items()
        },
    }


def list_outside(
    data: Path, atlas: list[tuple[str, Pixels]], glas: list[Pixels]
) -> Iterator[tuple[str, list[Pixels]]]:
    """Yield the name and the images of each group that the bundled model did not learn from."""
    yield "blurred by 3 px, simulated", [cv2.GaussianBlur(image, (0, 0), 3) for image in glas]
    yield "red and blue swapped, simulated", [image[..., ::-1].copy() for image in glas]
    yield "hues turned by 60 degrees, simulated", [turn_hues(image) for image in glas]
    yield "haematoxylin and DAB, simulated", [replace_eosin(image) for image in glas]
    for name, file in SLIDES.items():
        yield name, [read_slide(data / "slides" / file)]
    for organ in ("stomach", "endometrium", "duodenum", "fat necrosis"):
        yield f"{organ}, H&E", [image for name, image in atlas if name.startswith(organ)]
    by_kind: dict[str, list[Pixels]] = {"pen, glass, dust, line": [], "other tissue in H&E": []}
    for row in read_rows(data / ARTIFACTS / "index.csv"):
        is_artifact = any(word in row["what"] for word in ("pen", "glass", "line", "dust"))
        kind = "pen, glass, dust, line" if is_artifact else "other tissue in H&E"
        by_kind[kind].append(read_image(data / ARTIFACTS / row["file"], ARTIFACT_UM))
    yield from by_kind.items()
    rows = read_rows(data / "kather_patches" / "patches.csv")
    textures = [row for row in rows if row["gland"] == "0"]
    folder = data / "kather_patches"
    yield (
        "gland-free colon in H&E (Kather)",
        [read_image(folder / row["file"], float(row["um_per_px"])) for row in textures],
    )


def score(scope: Scope, image: Pixels) -> float:
    """Return the larger of the two distances, each by its limit."""
    distance = scope.measure(look(image))
    return max(distance.stain / distance.stain_limit, distance.blur / distance.blur_limit)


def look(image: Pixels) -> NDArray[np.float64]:
    """Measure the appearance of an image's windows."""
    height, width = image.shape[:2]
    side = min(SIDE_PX, height, width)
    corners = [(y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
    return np.array([measure_appearance(image[y : y + side, x : x + side]) for y, x in corners])


def read_glas(data: Path, names: str) -> list[Pixels]:
    """Read a part of GlaS."""
    return [read_image(path, GLAS_UM) for path in sorted((data / "glas").glob(f"{names}[0-9].webp"))]


def read_image(path: Path, um_per_px: float = UM_PER_PX) -> Pixels:
    """Read an image at the model's um/px, (H, W, 3) uint8 RGB."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    factor = um_per_px / UM_PER_PX
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def read_slide(path: Path) -> Pixels:
    """Read a whole slide at the model's um/px."""
    file = sorted(path.iterdir())[0] if path.is_dir() else path
    with open_slide(file) as slide:
        plane = SlidePlane(slide, UM_PER_PX)
        pixels: Pixels = plane.read(0, 0, plane.width_px, plane.height_px)
        return pixels


def read_atlas(folder: Path) -> Iterator[tuple[str, Pixels]]:
    """Yield the organ and the px of each region at hand."""
    for row in read_rows(folder / "index.csv"):
        for path in (folder / "images").glob(f"{row['name']}.*"):
            yield row["organ"], read_image(path, ATLAS_UM)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def turn_hues(image: Pixels) -> Pixels:
    """Turn the hues by 60 degrees."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 30) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def replace_eosin(image: Pixels) -> Pixels:
    """Show DAB in place of eosin."""
    density = -np.log((image.astype(float) + 1) / 256)
    strength = np.clip(density @ np.linalg.inv([H, E, DAB]), 0, None)[..., :2]
    return np.asarray(np.clip(256 * np.exp(-(strength @ np.array([H, DAB]))) - 1, 0, 255), np.uint8)


def compute_auroc(inside: list[float], outside: list[float]) -> float:
    """Return the chance that an image outside scores higher than one inside."""
    larger = np.array(outside)[:, None] - np.array(inside)[None]
    return float((larger > 0).mean() + 0.5 * (larger == 0).mean())


if __name__ == "__main__":
    main()
