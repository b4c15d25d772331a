"""The weakly supervised methods by name: add a `WeakMethod` in a file of its own and a line here."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # settings are read where PyTorch is not
    from glandseg.training.weak.method import WeakMethod

METHODS = {
    "feng": "glandseg.training.weak.feng:Feng",
    "cam": "glandseg.training.weak.cam:ClassActivationMaps",
}


def load_method(name: str) -> type[WeakMethod]:
    """Return the class of a method, a key of `METHODS`."""
    method: type[WeakMethod] = pkgutil.resolve_name(METHODS[name])
    return method
