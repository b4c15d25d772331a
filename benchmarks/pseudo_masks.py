"""How right are the pseudo masks of stage 1? Scored against outlines that the masks were made without.

Each --setting is one recipe: settings of `classifier`, separated by semicolons. The patch labels are those
that `glandseg train --labels patches` makes of the outlines, and a probe is fitted to the same images: as in
a training, no outline takes part. Choosing a recipe by these scores does use outlines, so the best of several
is also scored by cross-validation: each patient by the recipe that is best on all others.

    python -m benchmarks.pseudo_masks GLAS --part train --setting "evidence=[probe]" \
        --setting "evidence=[bundled, 0.3*probe]; ignore=0.4" --json benchmarks/results/pseudo-masks-glas.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measured_on import describe_circumstances
from glandseg.training.classifier_settings import CLASSIFIER, ClassifierSettings
from glandseg.training.data.augment import IGNORED
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.patches import Patch, list_patches
from glandseg.training.data.sample import Sample
from glandseg.training.distill.teacher_maps import hash_images
from glandseg.training.evaluation.evaluate import choose_part
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evidence_sources import open_evidence
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings
from glandseg.training.weak.label_rules import Maps, label_image
from glandseg.training.weak.pseudo_masks import decide, sum_maps

ALL = slice(None)


@dataclass(frozen=True)
class Score:
    """Pixels counted against outlines, of one image or of several.

    Attributes:
        labels: With labels, before any pixel is left out.
        without: The evidence alone.
        undecided: With labels, where labels alone decide nothing.
        kept: Where the mask has a label.
    """

    labels: Confusion
    without: Confusion
    undecided: Confusion
    kept: Confusion

    def __add__(self, other: Score) -> Score:
        """Add the counts of both."""
        return Score(*(one + two for one, two in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[Confusion, ...]:
        """The four counts."""
        return self.labels, self.without, self.undecided, self.kept

    def describe(self) -> dict[str, float]:
        """Return mIoU of each in percent, and the share of the pixels that keep a label."""
        names = ("labels", "without_labels", "undecided", "kept")
        scores = {name: round(100 * each.miou, 2) for name, each in zip(names, self.parts, strict=True)}
        kept = self.kept.counts.sum() / self.labels.counts.sum()
        return scores | {"kept_share": round(100 * float(kept), 2)}


def main() -> None:
    """Score every recipe, and print and write the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part", default="train", help="part of the data set, as of `glandseg evaluate`")
    parser.add_argument("--setting", action="append", help="a recipe; by default that of the package")
    parser.add_argument("--weights", help="pretrained weights of the probe's encoder")
    parser.add_argument("--encoder", default="mobilenetv2", help="encoder of the probe")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    base = TrainSettings(encoder=args.encoder, weights=args.weights)
    recipes = {text: read_recipe(base, text) for text in args.setting or [""]}
    data_set = find_samples(args.data)
    samples = choose_part(data_set, args.part)
    started = time.process_time()
    scores = score_recipes(samples, data_set.um_per_px or 0, base, recipes)
    facts = {
        "data": {"kind": data_set.kind, "part": args.part, "images": len(samples)},
        "images_sha256": hash_images(samples),
        "encoder": args.encoder,
        "weights": Path(args.weights).name if args.weights else "of the bundled model",
        "seed": base.classifier.fit.seed,
        "cpu_seconds": round(time.process_time() - started, 1),
        "recipes": {name: describe_recipe(each) for name, each in scores.items()},
        "cross_validated": choose_by_patient(samples, scores),
        **describe_circumstances(),
    }
    for name, each in facts["recipes"].items():
        print(f"{name or 'default'}: {each['pooled']}")
    print(f"chosen by cross-validation over patients: {facts['cross_validated']}")
    print(f"{facts['cpu_seconds']} CPU seconds")
    if args.json:
        args.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_recipe(base: TrainSettings, text: str) -> ClassifierSettings:
    """Return the settings of stage 1 that a recipe means."""
    assignments = [f"classifier.{part.strip()}" for part in text.split(";") if part.strip()]
    return override_settings(base, assignments).classifier


def score_recipes(
    samples: Sequence[Sample],
    um_per_px: float,
    base: TrainSettings,
    recipes: Mapping[str, ClassifierSettings],
) -> dict[str, dict[str, Score]]:
    """Score each recipe on each image; all share the maps of their sources."""
    sources = tuple(sorted({source for each in recipes.values() for source in each.weigh_sources()}))
    if CLASSIFIER in sources:
        raise SystemExit(f"{CLASSIFIER}: needs a training. Score the masks of a run instead.")
    images = [sample.read() for sample in samples]
    patches = list_patches(samples, images, um_per_px, base.classifier)
    of_image: dict[int, list[Patch]] = defaultdict(list)
    for patch in patches:
        of_image[patch.sample].append(patch)
    union = replace(base, classifier=replace(base.classifier, evidence=sources))
    scores: dict[str, dict[str, Score]] = {name: {} for name in recipes}
    with open_evidence(union, None, images, patches, um_per_px, print) as opened:
        for index, (sample, image) in enumerate(zip(samples, images, strict=True)):
            own = of_image[index]
            maps = {name: source.map_patches(sample, image, own) for name, source in opened.items()}
            truth = sample.read_mask(image.shape) == 1
            for name, recipe in recipes.items():
                scores[name][sample.name] = score_image(
                    truth, own, {source: maps[source] for source in recipe.weigh_sources()}, recipe
                )
    return scores


def score_image(
    truth: NDArray[np.bool_], patches: Sequence[Patch], maps: Mapping[str, Maps], recipe: ClassifierSettings
) -> Score:
    """Score a recipe on an image."""
    joint = label_image(truth.shape, patches, sum_maps(maps, recipe), recipe.rule)
    mask = decide(truth.shape, patches, maps, recipe).mask
    under = joint.mask != IGNORED
    evidence = (joint.log_odds > 0).astype(np.uint8)
    counted = ((joint.mask, under), (evidence, under), (joint.mask, joint.is_open), (mask, mask != IGNORED))
    return Score(*(Confusion.of(labels[where] == 1, truth[where]) for labels, where in counted))


def describe_recipe(scores: Mapping[str, Score]) -> dict[str, object]:
    """Return a recipe's scores pooled, and of each image."""
    by_image = {name: score.describe() for name, score in scores.items()}
    return {"pooled": add_up(scores.values()).describe(), "by_image": by_image}


def choose_by_patient(
    samples: Sequence[Sample], scores: Mapping[str, Mapping[str, Score]]
) -> dict[str, object]:
    """Score each patient by the recipe with the best masks on all other patients."""
    chosen: dict[str, str] = {}
    held_out: list[Score] = []
    for patient in sorted({sample.group for sample in samples}):
        own = [sample.name for sample in samples if sample.group == patient]
        others = [sample.name for sample in samples if sample.group != patient] or own

        def rank(recipe: str, others: Sequence[str] = others) -> float:
            return add_up(scores[recipe][name] for name in others).labels.miou

        chosen[patient] = max(scores, key=rank)
        held_out += [scores[chosen[patient]][name] for name in own]
    counts = {recipe: list(chosen.values()).count(recipe) for recipe in scores}
    return {"pooled": add_up(held_out).describe(), "patients_by_recipe": counts}


def add_up(scores: Iterable[Score]) -> Score:
    """Return the counts of all."""
    total = Score(*[Confusion.empty()] * 4)
    for score in scores:
        total += score
    return total


if __name__ == "__main__":
    main()
