"""Everything that a training run can be told, as frozen dataclasses that travel with its results."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from glandseg.runtime.errors import BadInputError
from glandseg.training.augment import AugmentSettings


STRIDES = ("8", "16", "32")


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise BadInputError(f"{name}: one of {', '.join(known)}. Received: {value}")


def _check_least(settings: object, least: float, *names: str) -> None:
    for name in names:
        if not getattr(settings, name) >= least:
            raise BadInputError(f"{name}: at least {least}. Received: {getattr(settings, name)}")


def _check_um(um_per_px: float | None) -> None:
    if um_per_px is not None and not 0 < um_per_px < math.inf:
        raise BadInputError(f"um_per_px: above 0. Received: {um_per_px}")


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a network is fitted.

    Attributes:
        steps: optimiser steps.
        batch: images a step.
        optimizer: "sgd" or "adamw".
        lr: learning rate after warm-up; it decays polynomially to 0.
        power: of the polynomial decay.
        warmup: steps over which the learning rate rises from 0.
        momentum: of sgd.
        weight_decay: on every weight.
        precision: "float32" or "bfloat16" (autocast).
        validate_every: steps between validations.
        seed: of the order of images, their changes and dropout.
    """

    steps: int = 2000
    batch: int = 12
    optimizer: str = "adamw"
    lr: float = 1e-3
    power: float = 0.9
    warmup: int = 100
    momentum: float = 0.9
    weight_decay: float = 1e-2
    precision: str = "bfloat16"
    validate_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted with."""
        _check("optimizer", self.optimizer, ("adamw", "sgd"))
        _check("precision", self.precision, ("float32", "bfloat16"))
        _check_least(self, 1, "steps", "batch", "validate_every")
        _check_least(self, 0, "lr", "power", "warmup", "momentum", "weight_decay", "seed")


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Stage 1: the classifier that learns from patch labels, and its activation maps.

    Attributes:
        side: of a patch, in px at `um_per_px`.
        stride: between patches, in px at `um_per_px`.
        um_per_px: at which side and stride are meant; none means that of the images. The default is that
            of GlaS, for which the papers chose 112 and 56.
        input: side to which a patch is enlarged for the network.
        output_stride: of the trunk, 8, 16 or 32.
        attention: after each of the trunk's last three stages: "none", "criss-cross", "criss-cross-twice"
            or "cca".
        pooling: of the class map: "gap" or "mpfp".
        balance: draw patches with only gland, only non-gland and both equally often.
        present: least share of a patch that a class must cover to be labelled present.
        background: patches with a larger share of white are dropped.
        scales: of the patch at which activation maps are computed and averaged.
        combine: "relu" rectifies each map and divides it by its maximum (Feng Eq. 4), "raw" leaves logits.
        fit: how it is fitted.
        augment: how its images are changed.
    """

    side: int = 112
    stride: int = 56
    um_per_px: float | None = 0.62
    input: int = 128
    output_stride: int = 8
    attention: tuple[str, ...] = ("none", "none", "none")
    pooling: str = "gap"
    balance: bool = True
    present: float = 0.05
    background: float = 0.9
    scales: tuple[float, ...] = (1.0,)
    combine: str = "relu"
    fit: FitSettings = FitSettings(steps=600, batch=20, lr=5e-4, validate_every=200)
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(scale_min=1.0, scale_max=1.4, mosaic=0.0, glass=0.0)
    )

    def __post_init__(self) -> None:
        """Refuse what no classifier can be built or labelled with."""
        _check_um(self.um_per_px)
        _check("output_stride", str(self.output_stride), STRIDES)
        _check("pooling", self.pooling, ("gap", "mpfp"))
        _check("combine", self.combine, ("relu", "raw"))
        for kind in self.attention:
            _check("attention", kind, ("none", "criss-cross", "criss-cross-twice", "cca"))
        if len(self.attention) != 3:
            raise BadInputError(f"attention: one of each of three stages. Received: {len(self.attention)}")
        if not self.scales or min(self.scales) <= 0:
            raise BadInputError(f"scales: one or more above 0. Received: {list(self.scales)}")
        _check_least(self, 1, "side", "stride", "input")


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """Stage 2: the segmenter.

    Attributes:
        output_stride: of the trunk, 8, 16 or 32; 16 costs a third of 8.
        bins: of the pyramid pooling.
        width: channels of the head.
        dropout: in the head.
        auxiliary: weight of the auxiliary head's loss.
        crop: side of a training image, in px.
        drawn: share of drawn tissue without glands among the training images.
        fit: how it is fitted.
        augment: how its images are changed.
    """

    output_stride: int = 16
    bins: tuple[int, ...] = (1, 2, 3, 6)
    width: int = 128
    dropout: float = 0.1
    auxiliary: float = 0.4
    crop: int = 256
    drawn: float = 0.15
    fit: FitSettings = FitSettings(steps=3000)
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        """Refuse what no segmenter can be built or fitted with."""
        _check("output_stride", str(self.output_stride), STRIDES)
        _check_least(self, 1, "crop")
        _check_least(self, 2, "width")
        if not self.bins or min(self.bins) < 1:
            raise BadInputError(f"bins: one or more of at least 1. Received: {list(self.bins)}")
        if 1 in self.bins and self.fit.batch < 2:  # batch norm cannot average a single value
            raise BadInputError(f"segmenter.fit.batch: at least 2. Received: {self.fit.batch}")
        if not 0 <= self.drawn < 1:
            raise BadInputError(f"drawn: at least 0 and below 1. Received: {self.drawn}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A whole run.

    Attributes:
        labels: "patches" learns from patch labels alone (both stages), "outlines" from masks (stage 2).
        trunk: "mobilenetv2".
        weights: file of the trunk's pretrained weights; none starts from chance.
        start_from: run folder whose segmenter this run's segmenter starts from.
        um_per_px: of the training images; none takes what the data set is known to have.
        shares: of training, validation and test.
        split_seed: of the split by patient.
        classifier: stage 1.
        segmenter: stage 2.
    """

    labels: str = "patches"
    trunk: str = "mobilenetv2"
    weights: str | None = None
    start_from: str | None = None
    um_per_px: float | None = None
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 0
    classifier: ClassifierSettings = ClassifierSettings()
    segmenter: SegmenterSettings = SegmenterSettings()

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        _check("labels", self.labels, ("patches", "outlines"))
        _check("trunk", self.trunk, ("mobilenetv2",))
        _check_um(self.um_per_px)
        if min(self.shares) < 0 or not (self.shares[0] and self.shares[1]):
            raise BadInputError(f"shares: training and validation above 0. Received: {list(self.shares)}")
