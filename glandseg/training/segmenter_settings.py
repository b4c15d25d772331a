"""The settings of stage 2: the segmenter."""

from __future__ import annotations

from dataclasses import dataclass, field

from glandseg.core.errors import BadInputError
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.loop.fit_settings import MAX_STEPS, FitSettings
from glandseg.training.networks.table import DECODERS, refuse_unknown_encoder
from glandseg.training.validation import (
    refuse_outside,
    refuse_outside_each,
    refuse_scales,
    refuse_um,
    refuse_unknown,
)

# Names in a module that needs PyTorch, repeated to read settings without it; a test compares them.
LOSSES = ("plain", "c_max", "c_diff", "l_norm", "lc_mix", "plf", "ohem")


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
        members: Number of networks: 1, or 3 that learn interleaved (HAMIL) and whose logits are averaged, at
            three times the cost.
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
    members: int = 1
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
    fit: FitSettings = field(default_factory=lambda: FitSettings(steps=3000, ema=0.995))
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        """Raise if a value is unknown or out of range."""
        refuse_unknown_encoder(self.encoder, self.freeze, self.output_stride)
        refuse_unknown("decoder", self.decoder, DECODERS)
        refuse_unknown("loss", self.loss, LOSSES)
        refuse_unknown("members", self.members, (1, 3))
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
        refuse_scales(self.scales)
        if 1 in self.bins and self.fit.batch < 2 * self.fit.accumulate:  # batch norm needs two values
            minimum = 2 * self.fit.accumulate
            raise BadInputError(f"fit.batch: at least {minimum}. Received: {self.fit.batch}")
        if not 0 <= self.synthetic < 1:
            raise BadInputError(f"synthetic: at least 0 and below 1. Received: {self.synthetic}")
