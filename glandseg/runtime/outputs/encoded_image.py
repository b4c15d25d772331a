"""Images encoded by OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError


def encode_image(suffix: str, image: NDArray[np.uint8], options: Sequence[int] = ()) -> bytes:
    """Encode an image.

    Args:
        suffix: Its format, as a file's suffix: ".png" or ".jpg".
        image: (h, w, 3) BGR or (h, w, 4) BGRA, uint8.
        options: Options of OpenCV, each with its value.

    Raises:
        EnvironmentLacksError: This OpenCV lacks the format.
    """
    done, packed = cv2.imencode(suffix, image, list(options))
    if not done:
        raise EnvironmentLacksError(f"this OpenCV writes no {suffix}. Reinstall opencv-python.")
    return packed.tobytes()
