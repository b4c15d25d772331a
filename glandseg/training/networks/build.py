"""Networks built by the names in the table, randomly initialised."""

from __future__ import annotations

from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.table import DECODERS, ENCODERS, import_builder
from glandseg.training.validation import refuse_unknown


def build_encoder(name: str, output_stride: int, last_dilation: int = 4) -> Encoder:
    """Build an encoder.

    Args:
        name: Key of `ENCODERS`.
        output_stride: Stride of its last stage.
        last_dilation: Dilation of the last block of an encoder that has one; others ignore it.

    Raises:
        BadInputError: If there is no such encoder, or not at that stride.
    """
    refuse_unknown("encoder", name, ENCODERS)
    entry = ENCODERS[name]
    refuse_unknown(f"{name}: output_stride", output_stride, entry.output_strides)
    arguments = dict(entry.arguments)
    if entry.has_last_dilation:
        arguments["last_dilation"] = last_dilation
    encoder: Encoder = import_builder(entry.build)(output_stride=output_stride, **arguments)
    return encoder


def build_decoder(
    name: str,
    encoder: Encoder,
    *,
    outputs: int,
    bins: tuple[int, ...],
    width: int,
    dropout: float,
    skip: int | None,
) -> Segmenter:
    """Build a decoder on an encoder.

    Args:
        name: Key of `DECODERS`.
        encoder: Encoder under it.
        outputs: Number of logits of a pixel.
        bins: Cells a side of each level of a pyramid pooling.
        width: Channels of the head.
        dropout: Share of the head's channels that is dropped while training, 0 to below 1.
        skip: Stride of the encoder's stage that joins the head; None leaves the head alone.

    Raises:
        BadInputError: If there is no such decoder, or no stage before the encoder's last has that stride.
    """
    refuse_unknown("decoder", name, DECODERS)
    finer = sorted({stride for stride in encoder.strides if stride < encoder.strides[-1]})
    refuse_unknown("skip", skip, (None, *finer))
    decoder: Segmenter = import_builder(DECODERS[name].build)(
        encoder, outputs=outputs, bins=bins, width=width, dropout=dropout, skip=skip
    )
    return decoder
