"""All settings of a training run, as frozen dataclasses that are stored with its results."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import CLASSIFIER, PROBE, ClassifierSettings
from glandseg.training.distill.settings import DistillationSettings
from glandseg.training.loop.fit_settings import MAX_SEED
from glandseg.training.networks.table import ENCODERS
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.validation import refuse_outside, refuse_um, refuse_unknown

SUM_TOLERANCE = 0.011  # of shares: a third may be written 0.33
LABELS = ("patches", "outlines", "none")
SPLITS = ("auto", "feng", "oeem")
ON_CORRUPT = ("fatal", "skip")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """A whole run.

    Attributes:
        labels: "patches" trains on patch labels alone (both stages), "outlines" on masks (stage 2), "none" on
            a teacher alone (stage 2).
        teacher: Run folder or model file whose probabilities the segmenter learns; None trains on labels.
        encoder: Name of the encoder of stages without their own, a key of `ENCODERS`.
        weights: Pretrained weights of this encoder: a file, "hub", or a repository on the hub such as
            "timm/resnest200e.in1k"; None initialises randomly. Only stages with this encoder use them.
        start_from: Run folder or float32 model file whose segmenter is the initial one; "bundled" means the
            model file that comes with the package.
        corrections: Slides corrected in QuPath, or folders of them, whose marked regions the segmenter learns
            beside the training images.
        um_per_px: Microns per pixel of the training images; None means that known of the data set.
        split: "auto" (the published test images if there are any, else by patient), "feng" or "oeem".
        shares: Shares of training, validation and test without published parts.
        split_seed: Random seed of the split by patient.
        fraction: Fraction of the training and validation images in use, chosen by `segmenter.fit.seed`.
        on_corrupt: "fatal" raises for corrupt images, "skip" logs and drops them.
        tensorboard: Whether TensorBoard's events are written beside the CSV logs.
        curves: Whether plots of the logs are drawn.
        classifier: Stage 1.
        segmenter: Stage 2.
        distillation: Settings of the distillation from a teacher.
    """

    labels: str = "patches"
    teacher: str | None = None
    encoder: str = "mobilenetv2"
    weights: str | None = None
    start_from: str | None = None
    corrections: tuple[str, ...] = ()
    um_per_px: float | None = None
    split: str = "auto"
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 0
    fraction: float = 1.0
    on_corrupt: str = "fatal"
    tensorboard: bool = False
    curves: bool = True
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    distillation: DistillationSettings = field(default_factory=DistillationSettings)

    def __post_init__(self) -> None:
        """Raise if a value is unknown or out of range."""
        refuse_unknown("labels", self.labels, LABELS)
        refuse_unknown("encoder", self.encoder, ENCODERS)
        refuse_unknown("split", self.split, SPLITS)
        refuse_unknown("on_corrupt", self.on_corrupt, ON_CORRUPT)
        refuse_um(self.um_per_px)
        if self.segmenter.members > 1 and (self.teacher or self.start_from):
            raise BadInputError(
                f"segmenter.members: 1 with a teacher or start_from. Received: {self.segmenter.members}"
            )
        if not 0 < self.fraction <= 1:
            raise BadInputError(f"fraction: above 0 and at most 1. Received: {self.fraction}")
        if not min(self.shares) >= 0 or not (self.shares[0] and self.shares[1]):
            raise BadInputError(f"shares: training and validation above 0. Received: {list(self.shares)}")
        if not abs(sum(self.shares) - 1) <= SUM_TOLERANCE:
            raise BadInputError(f"shares: three that sum to 1. Received: {list(self.shares)}")
        refuse_outside(self, 0, MAX_SEED, "split_seed")

    def seed(self, seed: int) -> TrainSettings:
        """Return the same settings with another random seed of both stages."""
        classifier, segmenter = self.classifier, self.segmenter
        return replace(
            self,
            classifier=replace(classifier, fit=replace(classifier.fit, seed=seed)),
            segmenter=replace(segmenter, fit=replace(segmenter.fit, seed=seed)),
        )

    def list_stages(self) -> dict[str, ClassifierSettings | SegmenterSettings]:
        """Return the stages that build an encoder, by name."""
        has_encoder = {CLASSIFIER, PROBE} & self.classifier.weigh_sources().keys()
        if self.labels == "patches" and has_encoder:
            return {"classifier": self.classifier, "segmenter": self.segmenter}
        return {"segmenter": self.segmenter}

    def choose_encoder(self, stage: ClassifierSettings | SegmenterSettings) -> str:
        """Return the name of a stage's encoder."""
        return stage.encoder or self.encoder

    def choose_weights(self, stage: ClassifierSettings | SegmenterSettings) -> str | None:
        """Return the pretrained weights of a stage's encoder; None without any for it."""
        return stage.weights or (self.weights if self.choose_encoder(stage) == self.encoder else None)
