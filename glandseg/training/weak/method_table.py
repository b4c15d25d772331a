"""The weakly supervised methods by name: add a `WeakMethod` in a file of its own and a line here.

Settings are read where PyTorch is not, so the table holds names, "MODULE:CLASS"; the factory loads them.
"""

from __future__ import annotations

METHODS = {
    "feng": "glandseg.training.weak.feng:Feng",
    "cam": "glandseg.training.weak.cam:ClassActivationMaps",
}
