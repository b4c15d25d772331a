"""The weakly supervised methods by name: add a `WeakMethod` in a file of its own and a line here.

Settings are read where PyTorch is not, so the table holds names, "MODULE:CLASS"; the factory loads them.
"""

from __future__ import annotations

METHODS = {
    "feng": "glandseg.training.weak.feng:Feng",
    "cam": "glandseg.training.weak.cam:ClassActivationMaps",
    "seam": "glandseg.training.weak.seam:SEAM",
    "sc-cam": "glandseg.training.weak.sc_cam:SCCAM",
    "adv-cam": "glandseg.training.weak.adv_cam:AdvCAM",
    "recam": "glandseg.training.weak.recam:ReCAM",
    "amr": "glandseg.training.weak.amr:AMR",
    "mlps": "glandseg.training.weak.mlps:MLPS",
    "ame-cam": "glandseg.training.weak.ame_cam:AMECAM",
    "ham-net": "glandseg.training.weak.ham_net:HAMNet",
}
