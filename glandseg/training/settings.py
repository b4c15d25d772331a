"""Everything that a training run can be told, as frozen dataclasses that travel with its results."""

from __future__ import annotations

from dataclasses import dataclass, field

from glandseg.core.errors import BadInputError
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.distill.settings import DistillationSettings
from glandseg.training.loop.fit_settings import MAX_SEED, MAX_STEPS, FitSettings
from glandseg.training.validation import (
    refuse_outside,
    refuse_outside_each,
    refuse_um,
    refuse_unknown,
)
from glandseg.training.weak.method_table import METHODS

__all__ = ["ClassifierSettings", "DistillationSettings", "FitSettings", "SegmenterSettings", "TrainSettings"]

SUM_TOLERANCE = 0.011  # of shares: three thirds may be written 0.33
STRIDES = ("8", "16", "32")
LABELS = ("patches", "outlines", "none")
# What can be built, by name; named here, for settings are read where PyTorch is not.
ENCODERS = ("mobilenetv2", "resnet38", "resnet50v2", "resnest50", "resnest101", "resnest200", "resnest269")
ATTENTIONS = ("none", "criss-cross", "criss-cross-twice", "cca")
POOLINGS = ("gap", "mpfp")
FUSIONS = ("sign-preserving", "average", "none")
LOSSES = ("plain", "c_max", "c_diff", "l_norm", "lc_mix", "plf", "ohem")


def _check_encoder(stage: ClassifierSettings | SegmenterSettings) -> None:
    if stage.encoder is not None:
        refuse_unknown("encoder", stage.encoder, ENCODERS)
    if stage.freeze and stage.encoder not in (None, "resnet38"):
        raise BadInputError(f"freeze: for resnet38. Received: {stage.encoder}")


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Stage 1: the classifier that learns from patch labels, and its activation maps.

    Attributes:
        side: of a patch, in px at `um_per_px`.
        stride: between patches, in px at `um_per_px`.
        um_per_px: at which side and stride are meant; none means that of the images. The default is that
            of GlaS, for which the papers chose 112 and 56.
        input: side to which a patch is enlarged for the network.
        encoder: as `TrainSettings` has it; none takes that one.
        weights: of the encoder, likewise.
        freeze: whether batch norm and the first convolution of resnet38 stay as they are; none freezes them
            where weights were loaded.
        output_stride: of the encoder, 8, 16 or 32.
        method: "feng", with attention and pooling as below, or "cam", plain class activation maps.
        attention: after each of the encoder's last three stages: "none", "criss-cross", "criss-cross-twice"
            or "cca".
        pooling: of the class map: "gap" or "mpfp".
        sizes: of mpfp's levels: cells a side, coarse to fine.
        fusion: of mpfp's levels: "sign-preserving", "average", or "none" of a single one.
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
    encoder: str | None = None
    weights: str | None = None
    freeze: bool | None = None
    output_stride: int = 8
    method: str = "feng"
    attention: tuple[str, ...] = ("none", "none", "none")
    pooling: str = "mpfp"
    sizes: tuple[int, ...] = (2, 4, 8, 16)
    fusion: str = "sign-preserving"
    balance: bool = True
    present: float = 0.05
    background: float = 0.9
    scales: tuple[float, ...] = (1.0,)
    combine: str = "relu"
    fit: FitSettings = field(
        default_factory=lambda: FitSettings(steps=600, batch=20, lr=5e-4, validate_every=200)
    )
    augment: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(scale_min=1.0, scale_max=1.4, mosaic=0.0, glass=0.0)
    )

    def __post_init__(self) -> None:
        """Refuse what no classifier can be built or labelled with."""
        refuse_um(self.um_per_px)
        refuse_unknown("output_stride", str(self.output_stride), STRIDES)
        _check_encoder(self)
        refuse_unknown("method", self.method, tuple(METHODS))
        refuse_unknown("pooling", self.pooling, POOLINGS)
        refuse_unknown("fusion", self.fusion, FUSIONS)
        if not self.sizes or self.sizes[0] < 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise BadInputError(f"sizes: ascending, each at least 1. Received: {list(self.sizes)}")
        if self.fusion == "none" and len(self.sizes) > 1:
            raise BadInputError(f"sizes: a single one with fusion=none. Received: {list(self.sizes)}")
        refuse_unknown("combine", self.combine, ("relu", "raw"))
        for kind in self.attention:
            refuse_unknown("attention", kind, ATTENTIONS)
        if len(self.attention) != 3:
            raise BadInputError(f"attention: one of each of three stages. Received: {len(self.attention)}")
        if not self.scales or min(self.scales) <= 0:
            raise BadInputError(f"scales: one or more above 0. Received: {list(self.scales)}")
        refuse_outside_each("sizes", self.sizes, 1, 256)
        refuse_outside_each("scales", self.scales, 0.1, 10)
        refuse_outside(self, 1, 10_000, "side", "stride", "input")
        refuse_outside(self, 0, 1, "present", "background")


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """Stage 2: the segmenter.

    Attributes:
        encoder: as `TrainSettings` has it; none takes that one.
        weights: of the encoder, likewise.
        freeze: whether batch norm and the first convolution of resnet38 stay as they are; none freezes them
            where weights were loaded.
        um_per_px: to which the images are resized, and at which the segmenter will work on slides; none
            leaves them as they are.
        output_stride: of the encoder, 8, 16 or 32; 16 costs a third of 8.
        bins: of the pyramid pooling.
        width: channels of the head.
        dropout: in the head.
        auxiliary: weight of the auxiliary head's loss.
        loss: how both heads' losses trust pixels: "plain" (alike), "plf" (Feng), "l_norm", "c_max",
            "c_diff", "lc_mix" (OEEM) or "ohem".
        warmup_plain: steps of plain loss before that begins.
        crop: side of a training image, in px.
        drawn: share of drawn tissue without glands among the training images.
        fit: how it is fitted.
        augment: how its images are changed.
    """

    encoder: str | None = None
    weights: str | None = None
    freeze: bool | None = None
    um_per_px: float | None = None
    output_stride: int = 16
    bins: tuple[int, ...] = (1, 2, 3, 6)
    width: int = 128
    dropout: float = 0.1
    auxiliary: float = 0.4
    loss: str = "plain"
    warmup_plain: int = 0
    crop: int = 256
    drawn: float = 0.15
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=3000))
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        """Refuse what no segmenter can be built or fitted with."""
        refuse_unknown("output_stride", str(self.output_stride), STRIDES)
        _check_encoder(self)
        refuse_unknown("loss", self.loss, LOSSES)
        refuse_um(self.um_per_px)
        refuse_outside(self, 0, 100, "auxiliary")
        refuse_outside(self, 0, MAX_STEPS, "warmup_plain")
        refuse_outside(self, 1, 10_000, "crop")
        refuse_outside(self, 2, 10_000, "width")
        refuse_outside(self, 0, 0.99, "dropout")
        if not self.bins or min(self.bins) < 1:
            raise BadInputError(f"bins: one or more of at least 1. Received: {list(self.bins)}")
        refuse_outside_each("bins", self.bins, 1, 256)
        if 1 in self.bins and self.fit.batch < 2 * self.fit.accumulate:  # batch norm needs two values
            least = 2 * self.fit.accumulate
            raise BadInputError(f"fit.batch: at least {least}. Received: {self.fit.batch}")
        if not 0 <= self.drawn < 1:
            raise BadInputError(f"drawn: at least 0 and below 1. Received: {self.drawn}")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A whole run.

    Attributes:
        labels: "patches" learns from patch labels alone (both stages), "outlines" from masks (stage 2),
            "none" from a teacher alone (stage 2).
        teacher: run folder or model file whose probabilities the segmenter learns; none learns from labels.
        encoder: of both stages, where they name none: "mobilenetv2", "resnet38", "resnet50v2", "resnest50",
            "resnest101", "resnest200" or "resnest269".
        weights: file of this encoder's pretrained weights; "hub" or a repository such as
            "timm/resnest200e.in1k" is fetched; none starts from chance. A stage with another encoder takes
            none from here.
        start_from: run folder whose segmenter this run's segmenter starts from.
        um_per_px: of the training images; none takes what the data set is known to have.
        split: "auto" (the published test images where there are some, else by patient), "feng" or "oeem".
        shares: of training, validation and test, where no published part settles it.
        split_seed: of the split by patient.
        fraction: of the training and validation images that is used; which, segmenter.fit.seed says.
        on_corrupt: "fatal" refuses a data set with corrupt images, "skip" leaves them out and says so.
        tensorboard: whether TensorBoard's events are written beside the CSV logs.
        curves: whether the logs are drawn.
        classifier: stage 1.
        segmenter: stage 2.
        distillation: how the segmenter learns from a teacher.
    """

    labels: str = "patches"
    teacher: str | None = None
    encoder: str = "mobilenetv2"
    weights: str | None = None
    start_from: str | None = None
    um_per_px: float | None = None
    split: str = "auto"
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 0
    fraction: float = 1.0
    on_corrupt: str = "fatal"
    tensorboard: bool = False
    curves: bool = True
    classifier: ClassifierSettings = ClassifierSettings()
    segmenter: SegmenterSettings = SegmenterSettings()
    distillation: DistillationSettings = field(default_factory=DistillationSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        refuse_unknown("labels", self.labels, LABELS)
        refuse_unknown("encoder", self.encoder, ENCODERS)
        refuse_unknown("split", self.split, ("auto", "feng", "oeem"))
        refuse_unknown("on_corrupt", self.on_corrupt, ("fatal", "skip"))
        refuse_um(self.um_per_px)
        if not 0 < self.fraction <= 1:
            raise BadInputError(f"fraction: above 0 and at most 1. Received: {self.fraction}")
        if not min(self.shares) >= 0 or not (self.shares[0] and self.shares[1]):
            raise BadInputError(f"shares: training and validation above 0. Received: {list(self.shares)}")
        if not abs(sum(self.shares) - 1) <= SUM_TOLERANCE:
            raise BadInputError(f"shares: three that make 1 together. Received: {list(self.shares)}")
        refuse_outside(self, 0, MAX_SEED, "split_seed")

    def choose_encoder(self, stage: ClassifierSettings | SegmenterSettings) -> str:
        """Give the name of a stage's encoder."""
        return stage.encoder or self.encoder

    def choose_weights(self, stage: ClassifierSettings | SegmenterSettings) -> str | None:
        """Return the pretrained weights of a stage's encoder; None where there are none for it."""
        return stage.weights or (self.weights if self.choose_encoder(stage) == self.encoder else None)
