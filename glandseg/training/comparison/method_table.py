"""The compared methods by name: what of the settings makes each of them, and nothing else.

All the rest, encoder, patches, label rule, segmenter and steps, is that of the comparison, so that methods
differ in what their papers propose. A line here needs a `WeakMethod`, or settings of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_settings

FROM_LABELS = ("labels=patches", "classifier.evidence=[classifier]")
CCA_MPFP = ("classifier.attention=[cca, cca, cca]", "classifier.pooling=mpfp")
HAMIL = ("classifier.method=ham-net", "segmenter.members=3")
PLAIN = ("classifier.attention=[none, none, none]", "classifier.pooling=gap")


@dataclass(frozen=True, kw_only=True)
class ComparedMethod:
    """A method of a comparison.

    Attributes:
        title: Name in the table.
        settings: Settings that make it, as `key=value`.
    """

    title: str
    settings: tuple[str, ...]


COMPARED = {
    "outlines": ComparedMethod(title="fully supervised, from outlines", settings=("labels=outlines",)),
    "cam": ComparedMethod(title="CAM (Zhou et al. 2016)", settings=("classifier.method=cam",)),
    "seam": ComparedMethod(title="SEAM (Wang et al. 2020)", settings=("classifier.method=seam",)),
    "sc-cam": ComparedMethod(title="SC-CAM (Chang et al. 2020)", settings=("classifier.method=sc-cam",)),
    "adv-cam": ComparedMethod(title="Adv-CAM (Lee et al. 2021)", settings=("classifier.method=adv-cam",)),
    "recam": ComparedMethod(title="ReCAM (Chen et al. 2022)", settings=("classifier.method=recam",)),
    "amr": ComparedMethod(title="AMR (Qin et al. 2022)", settings=("classifier.method=amr",)),
    "mlps": ComparedMethod(title="MLPS (Han et al. 2022)", settings=("classifier.method=mlps",)),
    "oeem": ComparedMethod(
        title="OEEM (Li et al. 2022)", settings=("classifier.method=cam", "segmenter.loss=l_norm")
    ),
    "oeem-cca-mpfp": ComparedMethod(
        title="OEEM with CCA and MPFP",
        settings=("classifier.method=feng", *CCA_MPFP, "segmenter.loss=l_norm"),
    ),
    "ame-cam": ComparedMethod(title="AME-CAM (Chen et al. 2023)", settings=("classifier.method=ame-cam",)),
    "hamil": ComparedMethod(title="HAMIL (Zhong et al. 2023)", settings=(*HAMIL, *PLAIN)),
    "hamil-cca-mpfp": ComparedMethod(title="HAMIL with CCA and MPFP", settings=(*HAMIL, *CCA_MPFP)),
    "feng": ComparedMethod(
        title="Feng et al. 2025", settings=("classifier.method=feng", *CCA_MPFP, "segmenter.loss=plf")
    ),
}
ALL = "all"


def find_methods(names: Sequence[str], base: TrainSettings) -> dict[str, TrainSettings]:
    """Return the settings of methods, by name.

    Args:
        names: Keys of `COMPARED`, `ALL` for each of them, or paths of settings files (YAML), whose stems
            become names.
        base: Settings of the comparison, which those of a method override.

    Raises:
        BadInputError: If there is none, one is neither, or two are alike.
    """
    if not names:
        raise BadInputError(f"--methods: one or more of {', '.join((ALL, *COMPARED))}. Received: none")
    wanted = list(COMPARED) if list(names) == [ALL] else list(names)
    base = override_settings(base, FROM_LABELS)
    found: dict[str, TrainSettings] = {}
    for name in wanted:
        path = Path(name)
        is_settings_file = path.suffix in (".yaml", ".yml")
        if name not in COMPARED and not is_settings_file:
            known = ", ".join((ALL, *COMPARED))
            raise BadInputError(f"--methods: {known}, or settings files NAME.yaml. Received: {name[:80]}")
        key = path.stem if is_settings_file else name
        if key in found or (is_settings_file and key in COMPARED):
            raise BadInputError(f"--methods: each name once, a settings file's among them. Received: {key}")
        changes = () if is_settings_file else COMPARED[name].settings
        found[key] = read_settings(path, base) if is_settings_file else override_settings(base, changes)
    return found


def name_method(name: str) -> str:
    """Return a method's name in tables: its title, or the name of its settings file."""
    return COMPARED[name].title if name in COMPARED else name


def rank_method(name: str) -> tuple[int, str]:
    """Return a method's place in tables: the order of `COMPARED`, settings files after it by name."""
    names = list(COMPARED)
    return (names.index(name) if name in COMPARED else len(names), name)
