"""The settings of stage 1: from patch labels to pseudo masks."""

from __future__ import annotations

from dataclasses import dataclass, field

from glandseg.core.errors import BadInputError
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.networks.table import NORMALIZATIONS, refuse_unknown_encoder
from glandseg.training.validation import (
    refuse_outside,
    refuse_outside_each,
    refuse_scales,
    refuse_um,
    refuse_unknown,
)
from glandseg.training.weak.method_table import METHODS

# Names in modules that need PyTorch, repeated to read settings without it; a test compares them.
ATTENTIONS = ("none", "criss-cross", "criss-cross-twice", "cca")
POOLINGS = ("gap", "mpfp")
FUSIONS = ("sign-preserving", "average", "none")
RULES = ("veto", "inside")
# Sources of evidence beside the paths of model files and runs.
CLASSIFIER, PROBE, BUNDLED = "classifier", "probe", "bundled"


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Stage 1: from patch labels to pseudo masks, by a classifier of patches or other sources of evidence.

    Attributes:
        evidence: Sources whose log odds of gland are summed, each with its weight in front unless that is 1,
            as in "0.3*probe": "classifier" (activation maps of a classifier that is trained), "probe" (linear
            map of the frozen encoder's features), "bundled" (the bundled model), or the path of a model file
            or, for another round, of an earlier run.
        rule: How labels correct the log odds: "veto" averages overlapping patches, then takes absent classes
            away (Feng); "inside" takes them away and decides inside each patch, then counts votes (OEEM).
        agree: Whether pixels at which sources differ are left out.
        ignore: Share of the pixels undecided by labels, 0 to 1, that is left out, the least sure first.
        side: Side of a patch, in px at `um_per_px`.
        stride: Distance between patches, in px at `um_per_px`.
        um_per_px: Microns per pixel of side and stride; None means that of the images. The default is that of
            GlaS, for which the papers chose 112 and 56.
        input: Side to which a patch is enlarged for the classifier, in px.
        encoder: Name of the encoder; None means that of `TrainSettings`.
        weights: Its pretrained weights, as in `TrainSettings`; where None, a probe's mobilenetv2 takes those
            of the bundled model.
        freeze: Whether batch norms and first convolution of resnet38 stay fixed; None fixes them with
            pretrained weights.
        output_stride: Stride of the classifier's encoder: 8, 16 or 32.
        last_dilation: Dilation of resnet38's last block at stride 8: 4, or 2 as in OEEM; others have none.
        normalize: By which mean and standard deviation RGB in 0..1 is normalized: "imagenet", "glas" (of its
            training images), or "none".
        method: "feng", with attention and pooling as below; "cam", plain class activation maps; or another
            key of `METHODS`. Of the others, "ham-net" has attention and pooling, too.
        attention: Attention after each of the encoder's last three stages: "none", "criss-cross",
            "criss-cross-twice" or "cca".
        bias: Whether the layer of the class map has a bias.
        pooling: Pooling of the class map: "gap" or "mpfp".
        sizes: Cells per side of mpfp's levels, coarse to fine.
        fusion: Fusion of mpfp's levels: "sign-preserving", "average", or "none" for a single one.
        balance: Whether patches with only gland, only non-gland and both are sampled equally often.
        present: Minimum share of a patch, 0 to 1, that a class covers to be labelled present.
        background: Maximum share of white in a patch, 0 to 1.
        climbs: Steps of adv-cam's climbing, each costs as much as a step of training on the patch.
        scales: Scales of the patch at which activation maps are computed and averaged.
        combine: "relu" rectifies each map and divides it by its maximum (Feng Eq. 4), "raw" keeps logits;
            maps that a method has normalized itself stay as they are.
        fit: Settings of its training loop.
        augment: Settings of its augmentation.
    """

    evidence: tuple[str, ...] = (BUNDLED, f"0.15*{PROBE}")
    rule: str = "veto"
    agree: bool = False
    ignore: float = 0.4
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
    climbs: int = 27
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
        if not self.evidence or len(self.weigh_sources()) != len(self.evidence):
            raise BadInputError(f"evidence: one or more sources, each once. Received: {list(self.evidence)}")
        refuse_outside_each("evidence", list(self.weigh_sources().values()), 0.001, 1000)
        refuse_unknown("rule", self.rule, RULES)
        refuse_um(self.um_per_px)
        refuse_unknown_encoder(self.encoder, self.freeze, self.output_stride)
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
        refuse_scales(self.scales)
        refuse_outside_each("sizes", self.sizes, 1, 256)
        refuse_outside(self, 1, 10_000, "side", "stride", "input", "climbs")
        refuse_outside(self, 0, 1, "present", "background")
        refuse_outside(self, 0, 0.99, "ignore")

    def weigh_sources(self) -> dict[str, float]:
        """Return the sources of evidence with their weights."""
        weights: dict[str, float] = {}
        for text in self.evidence:
            weight, _, source = text.partition("*")
            try:
                weights[source.strip()] = float(weight)
            except ValueError:
                weights[text.strip()] = 1.0
        return weights
