"""The split of each data set: as published, as in the papers, or by patient."""

from __future__ import annotations

from collections import defaultdict

from glandseg.core.errors import BadInputError
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.splits import SHARES, Shares, Split, split_samples, take_groups
from glandseg.training.settings import SPLITS

KNOWN_FOR = {"feng": ("glas", "prog", "ebhi"), "oeem": ("glas",)}
GLAS_VAL, PROG_VAL = 15, 229  # validation images of Feng et al.; ProG's 8,244 patches are 36 of each


def split_data_set(data_set: DataSet, split: str = "auto", shares: Shares = SHARES, seed: int = 0) -> Split:
    """Split a data set.

    | split | GlaS | ProG | EBHI-Seg | others |
    |---|---|---|---|---|
    | auto | train by patient / testA + testB | TRAIN by patient / TEST | by patient | by patient |
    | feng | 70 / 15 / testA + testB | TRAIN / 229 and 271 of TEST | 7:1:2 by patient | - |
    | oeem | train / none / testA + testB | - | - | - |

    "by patient" is in the given shares. Without the published parts, auto splits all images by patient.

    Args:
        data_set: Data set to split.
        split: "auto", "feng" or "oeem".
        shares: Shares of training, validation and test, which sum to 1.
        seed: Random seed of the order of the groups.

    Raises:
        BadInputError: If the split is not known for such data, or its parts are missing.
    """
    if split != "auto":
        return _split_as_published(data_set, split, seed)
    train, test = _find_published(data_set)
    if not train or not test:
        return split_samples(data_set.samples, shares, seed)
    whole = shares[0] + shares[1]
    own = split_samples(train, (shares[0] / whole, shares[1] / whole, 0.0), seed)
    return Split(train=own.train, val=own.val, test=test, published=True)


def _split_as_published(data_set: DataSet, split: str, seed: int) -> Split:
    if data_set.kind not in KNOWN_FOR.get(split, ()):
        known = ", ".join(KNOWN_FOR.get(split, SPLITS))
        raise BadInputError(
            f"split={split}: known are {known}. This data set is {data_set.kind}. Give --set split=auto."
        )
    if data_set.kind == "ebhi":
        return split_samples(data_set.samples, (0.7, 0.1, 0.2), seed)
    train, test = _find_published(data_set)
    if not train or not test:
        raise BadInputError(
            f"split={split}: the published training or test images are not there. Give --set split=auto."
        )
    if data_set.kind == "prog":
        val, test = take_groups(test, PROG_VAL, seed)
        return Split(train=train, val=val, test=test, published=True)
    if split == "oeem":
        return Split(train=train, val=(), test=test, published=True)
    val, train = take_groups(train, GLAS_VAL, seed)
    return Split(train=train, val=val, test=test, published=True)


def _find_published(data_set: DataSet) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    train = tuple(sample for sample in data_set.samples if sample.part == "train")
    test = tuple(sample for sample in data_set.samples if (sample.part or "").startswith("test"))
    return train, test


def list_parts(
    data_set: DataSet, split: str = "auto", shares: Shares = SHARES, seed: int = 0
) -> dict[str, tuple[Sample, ...]]:
    """Return the parts that can be evaluated, by name: the published ones; train, val and test as split; all.

    A published part "train" replaces that of the split, so it includes the samples of `val`.

    Args:
        data_set: Data set to split.
        split: "auto", "feng" or "oeem", as in `split_data_set`.
        shares: Shares of training, validation and test, which sum to 1.
        seed: Random seed of the order of the groups.
    """
    own = split_data_set(data_set, split, shares, seed)
    parts: dict[str, tuple[Sample, ...]] = defaultdict(tuple)
    for sample in data_set.samples:
        if sample.part:
            parts[sample.part] += (sample,)
    split_parts = {name: own.part(name) for name in ("train", "val", "test")}
    return {**split_parts, **parts, "all": data_set.samples}
