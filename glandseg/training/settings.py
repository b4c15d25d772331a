"""All settings of a training run, as frozen dataclasses that are stored with its results."""

from __future__ import annotations

from dataclasses import dataclass, field

from glandseg.core.errors import BadInputError
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.distill.settings import DistillationSettings
from glandseg.training.loop.fit_settings import MAX_SEED, MAX_STEPS, FitSettings
from glandseg.training.networks.table import DECODERS, ENCODERS, NORMALIZATIONS, refuse_unfrozen
from glandseg.training.validation import (
    refuse_outside,
    refuse_outside_each,
    refuse_um,
    refuse_unknown,
)
from glandseg.training.weak.method_table import METHODS

__all__ = ["ClassifierSettings", "DistillationSettings", "FitSettings", "SegmenterSettings", "TrainSettings"]

SUM_TOLERANCE = 0.011  # of shares: a third may be written 0.33
LABELS = ("patches", "outlines", "none")
SPLITS = ("auto", "feng", "oeem")
ON_CORRUPT = ("fatal", "skip")
# Names in modules that need PyTorch, repeated to read settings without it; a test compares them.
ATTENTIONS = ("none", "criss-cross", "criss-cross-twice", "cca")
POOLINGS = ("gap", "mpfp")
FUSIONS = ("sign-preserving", "average", "none")
LOSSES = ("plain", "c_max", "c_diff", "l_norm", "lc_mix", "plf", "ohem")


def _check_encoder(stage: ClassifierSettings | SegmenterSettings) -> None:
    if stage.encoder is not None:
        refuse_unknown("encoder", stage.encoder, ENCODERS)
    if stage.freeze and stage.encoder is not None:
        refuse_unfrozen(stage.encoder)
    strides = {stride for entry in ENCODERS.values() for stride in entry.output_strides}
    refuse_unknown("output_stride", stage.output_stride, sorted(strides))


def _refuse_scales(scales: tuple[float, ...]) -> None:
    if not scales or min(scales) <= 0:
        raise BadInputError(f"scales: one or more above 0. Received: {list(scales)}")
    refuse_outside_each("scales", scales, 0.1, 10)


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Stage 1: the classifier of patches, and its activation maps.

    Attributes:
        side: Side of a patch, in px at `um_per_px`.
        stride: Distance between patches, in px at `um_per_px`.
        um_per_px: Microns per pixel of side and stride; None means that of the images. The default is that of
            GlaS, for which the papers chose 112 and 56.
        input: Side to which a patch is enlarged for the network, in px.
        encoder: Name of the encoder; None means that of `TrainSettings`.
        weights: Its pretrained weights, as in `TrainSettings`.
        freeze: Whether batch norms and first convolution of resnet38 stay fixed; None fixes them with
            pretrained weights.
        output_stride: Stride of the encoder: 8, 16 or 32.
        last_dilation: Dilation of resnet38's last block at stride 8: 4, or 2 as in OEEM; others have none.
        normalize: By which mean and standard deviation RGB in 0..1 is normalized: "imagenet", "glas" (of its
            training images), or "none".
        method: "feng", with attention and pooling as below, or "cam", plain class activation maps.
        attention: Attention after each of the encoder's last three stages: "none", "criss-cross",
            "criss-cross-twice" or "cca".
        bias: Whether the layer of the class map has a bias.
        pooling: Pooling of the class map: "gap" or "mpfp".
        sizes: Cells per side of mpfp's levels, coarse to fine.
        fusion: Fusion of mpfp's levels: "sign-preserving", "average", or "none" for a single one.
        balance: Whether patches with only gland, only non-gland and both are sampled equally often.
        present: Minimum share of a patch, 0 to 1, that a class covers to be labelled present.
        background: Maximum share of white in a patch, 0 to 1.
        scales: Scales of the patch at which activation maps are computed and averaged.
        combine: "relu" rectifies each map and divides it by its maximum (Feng Eq. 4), "raw" keeps logits.
        fit: Settings of its training loop.
        augment: Settings of its augmentation.
    """

    side: int = 112
    stride: int = 56
    um_per_px: float | None = 0.62
    input: int = 128
    encoder: str | None = None
    weights: str | None = None
    freeze: bool | None = None
    output_stride: int = 8
    last_dilation: int = 4
    normalize: str = "imagenet"
    method: str = "feng"
    attention: tuple[str, ...] = ("none", "none", "none")
    bias: bool = False
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
        """Raise if a value is unknown or out of range."""
        refuse_um(self.um_per_px)
        _check_encoder(self)
        refuse_unknown("last_dilation", self.last_dilation, (2, 4))
        refuse_unknown("normalize", self.normalize, NORMALIZATIONS)
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
        _refuse_scales(self.scales)
        refuse_outside_each("sizes", self.sizes, 1, 256)
        refuse_outside(self, 1, 10_000, "side", "stride", "input")
        refuse_outside(self, 0, 1, "present", "background")


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """Stage 2: the segmenter.

    Attributes:
        encoder: Name of the encoder; None means that of `TrainSettings`.
        weights: Its pretrained weights, as in `TrainSettings`.
        freeze: Whether batch norms and first convolution of resnet38 stay fixed; None means they do not: the
            papers fix them in stage 1 alone.
        um_per_px: Microns per pixel to which the images are resized, and of the segmenter on slides; None
            keeps that of the images.
        output_stride: Stride of the encoder: 8, 16 or 32; 16 costs a third of 8.
        decoder: Name of the decoder, a key of `DECODERS`.
        bins: Cells per side of the pyramid pooling's levels.
        width: Channels of the head.
        skip: Stride of the encoder's stage that joins the head, which makes edges finer: 4 or 8, below
            `output_stride`; None leaves the head alone.
        dropout: Dropout rate in the head.
        auxiliary: Weight of the auxiliary head's loss.
        loss: Pixel weights of both heads' losses: "plain" (equal), "plf" (Feng), "l_norm", "c_max", "c_diff",
            "lc_mix" (OEEM) or "ohem".
        warmup_plain: Steps of plain loss before these weights apply.
        core_um: Distance in um from a gland's border at which its core begins, which the network learns as a
            third channel to tell touching glands apart; None leaves the channel out.
        core_weight: Weight of the core's loss.
        border_weight: Weight added to the stroma between two glands that nearly touch, which falls with their
            distance as in U-Net.
        crop: Side of a training image, in px.
        stride: Distance between the tiles of side `crop` into which images are cut before training, in px; an
            epoch then counts tiles. None means whole images, of which crops are drawn.
        synthetic: Share of synthetic tissue among the training images: without glands and, where cores are
            learned, with crowded ones.
        scales: Scales whose probabilities are averaged where the run is evaluated; its own validation uses 1.
        flips: Whether each window is averaged with its mirror image there, too.
        fit: Settings of its training loop.
        augment: Settings of its augmentation.
    """

    encoder: str | None = None
    weights: str | None = None
    freeze: bool | None = None
    um_per_px: float | None = None
    output_stride: int = 16
    decoder: str = "pspnet"
    bins: tuple[int, ...] = (1, 2, 3, 6)
    width: int = 128
    skip: int | None = None
    dropout: float = 0.1
    auxiliary: float = 0.4
    loss: str = "plain"
    warmup_plain: int = 0
    core_um: float | None = None
    core_weight: float = 1.0
    border_weight: float = 0.0
    crop: int = 256
    stride: int | None = None
    synthetic: float = 0.15
    scales: tuple[float, ...] = (1.0,)
    flips: bool = False
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=3000))
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        """Raise if a value is unknown or out of range."""
        _check_encoder(self)
        refuse_unknown("decoder", self.decoder, DECODERS)
        refuse_unknown("loss", self.loss, LOSSES)
        refuse_um(self.um_per_px)
        refuse_unknown("skip", self.skip, (None, 4, 8))
        if self.skip and self.skip >= self.output_stride:
            raise BadInputError(f"skip: below output_stride={self.output_stride}. Received: {self.skip}")
        if self.core_um is not None:
            refuse_outside(self, 0.5, 25, "core_um")
        refuse_outside(self, 0, 100, "auxiliary", "core_weight", "border_weight")
        refuse_outside(self, 0, MAX_STEPS, "warmup_plain")
        refuse_outside(self, 1, 10_000, "crop", *(["stride"] if self.stride is not None else []))
        refuse_outside(self, 2, 10_000, "width")
        refuse_outside(self, 0, 0.99, "dropout")
        if not self.bins or min(self.bins) < 1:
            raise BadInputError(f"bins: one or more of at least 1. Received: {list(self.bins)}")
        refuse_outside_each("bins", self.bins, 1, 256)
        _refuse_scales(self.scales)
        if 1 in self.bins and self.fit.batch < 2 * self.fit.accumulate:  # batch norm needs two values
            minimum = 2 * self.fit.accumulate
            raise BadInputError(f"fit.batch: at least {minimum}. Received: {self.fit.batch}")
        if not 0 <= self.synthetic < 1:
            raise BadInputError(f"synthetic: at least 0 and below 1. Received: {self.synthetic}")


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
        """Raise if a value is unknown or out of range."""
        refuse_unknown("labels", self.labels, LABELS)
        refuse_unknown("encoder", self.encoder, ENCODERS)
        refuse_unknown("split", self.split, SPLITS)
        refuse_unknown("on_corrupt", self.on_corrupt, ON_CORRUPT)
        refuse_um(self.um_per_px)
        if not 0 < self.fraction <= 1:
            raise BadInputError(f"fraction: above 0 and at most 1. Received: {self.fraction}")
        if not min(self.shares) >= 0 or not (self.shares[0] and self.shares[1]):
            raise BadInputError(f"shares: training and validation above 0. Received: {list(self.shares)}")
        if not abs(sum(self.shares) - 1) <= SUM_TOLERANCE:
            raise BadInputError(f"shares: three that sum to 1. Received: {list(self.shares)}")
        refuse_outside(self, 0, MAX_SEED, "split_seed")

    def choose_encoder(self, stage: ClassifierSettings | SegmenterSettings) -> str:
        """Return the name of a stage's encoder."""
        return stage.encoder or self.encoder

    def choose_weights(self, stage: ClassifierSettings | SegmenterSettings) -> str | None:
        """Return the pretrained weights of a stage's encoder; None without any for it."""
        return stage.weights or (self.weights if self.choose_encoder(stage) == self.encoder else None)
