"""Why OpenSlide cannot open a slide: a kind that it does not support, or damage."""

from __future__ import annotations

import re
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.slides.path_check import EXPORT

# What OpenSlide says of whole files of kinds that it cannot read.
UNSUPPORTED = re.compile(
    r"unsupported(?! or missing)|not supported|unrecogni[sz]ed|not implemented|can't handle|cannot handle|"
    r"attribute \w+ value -?\d+ != -?\d+|unknown (?:compression|pixel type|photometric)",
    re.IGNORECASE,
)


def build_failure(path: Path, vendor: str, said: str) -> BadInputError:
    """Build the error of a slide that OpenSlide recognises and cannot open.

    Args:
        path: Slide.
        vendor: Whose format it is of.
        said: OpenSlide's words, without the path.
    """
    if UNSUPPORTED.search(said):
        return BadInputError(
            f"{path}: recognised as {vendor}, of a kind that OpenSlide does not support: {said}. {EXPORT}"
        )
    return BadInputError(
        f"{path}: recognised as {vendor}, but OpenSlide cannot open it ({said}): "
        f"damaged, or files beside it are missing. Copy the slide again, with its folder"
    )
