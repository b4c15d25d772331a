"""The fingerprint of a plan: what it was built from, with and for, kept beside it in NAME.engine.json.

A plan's own format is TensorRT's and tells nothing before it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import glandseg
from glandseg.core.errors import BadInputError, GlandsegError, show
from glandseg.core.json_text import parse_json
from glandseg.core.system import hash_file
from glandseg.model.tensorrt.package import RTX, TURING
from glandseg.model.windows import WINDOW_PX

KIND = "TensorRT engine of glandseg"
FINGERPRINT_SUFFIX = ".json"  # after the plan's own

_ANYWHERE = ("onnx_sha256", "weights_sha256", "package", "version", "precision", "profile")
# A plan of the full TensorRT runs where it was built; one for RTX is finished on the GPU that runs it.
_HERE = ("system", "gpu", "compute_capability", "driver", "cuda")


class StaleEngineError(GlandsegError):
    """The plan is damaged or does not fit what is here; it can be built again (exit code 4)."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Facts of a plan.

    Attributes:
        onnx_sha256: Hash of the ONNX file that it was built from.
        weights_sha256: Hash of the trained weights, from the model card.
        plan_sha256: Hash of the plan's bytes.
        package: Import name of the TensorRT that built it.
        version: Version of that TensorRT.
        system: Operating system and processor where it was built.
        gpu: GPU where it was built; "none" without one.
        compute_capability: Compute capability of that GPU, "8.9".
        driver: Release of that GPU's driver.
        cuda: Newest CUDA that the driver runs.
        profile: Shape of the input `windows`, (N, 320, 320, 3), the only one that it takes.
        precision: Precision of the ONNX file.
        share: Fraction of the layers that compute in that precision, 0..1.
        measured_on: Whose layers were counted, "engine" or "network".
        layers: Number of layers, by type of layer, then by number type.
        targets: GPUs that it was built for, "sm89"; none means the local one or, for RTX, all from Ampere on.
        card: Model card.
    """

    onnx_sha256: str
    weights_sha256: str
    plan_sha256: str = ""
    package: str
    version: str
    system: str
    gpu: str
    compute_capability: str
    driver: str
    cuda: str
    profile: tuple[int, ...]
    precision: str
    share: float = 0.0
    measured_on: str = ""
    layers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    card: Mapping[str, Any]

    @property
    def batch(self) -> int:
        """Return the number of windows that the plan takes in one call."""
        return self.profile[0]


def check_fingerprint(plan: Path, found: Fingerprint, needed: Fingerprint) -> None:
    """Compare a plan and its fingerprint file with what is needed here, before the plan is loaded.

    Args:
        plan: Path of the plan.
        found: Fingerprint in its file.
        needed: Fingerprint of a plan built here and now; its targets are the GPUs that must be served.

    Raises:
        StaleEngineError: if they differ; it names each field that does.
    """
    if differences := [*list_differences(found, needed)]:
        raise StaleEngineError(f"{plan}: {'; '.join(differences)}.")
    if (received := hash_file(plan)) != found.plan_sha256:
        raise StaleEngineError(
            f"{plan}: its sha256 is {received[:12]}, its fingerprint file says {found.plan_sha256[:12]}: "
            "damaged, cut short or replaced."
        )


def list_differences(found: Fingerprint, needed: Fingerprint) -> Iterator[str]:
    """List the fields in which a plan does not fit, a phrase each."""
    for name in _ANYWHERE if needed.package == RTX else (*_ANYWHERE, *_HERE):
        built, here = (_show(getattr(side, name)) for side in (found, needed))
        if built != here:
            yield f"{name}: built with {built}, here {here}"
    missing = [target for target in needed.targets if not _serves(found, target)]
    if missing and needed.package == RTX:
        built = ", ".join(found.targets) or "the default GPUs"
        yield f"targets: built for {built}, here {', '.join(missing)}"


def find_fingerprint_file(plan: Path) -> Path:
    """Return the path of a plan's fingerprint file."""
    return plan.with_name(plan.name + FINGERPRINT_SUFFIX)


def write_fingerprint_file(plan: Path, fingerprint: Fingerprint) -> None:
    """Write the fingerprint file of a plan, with the plan's hash."""
    facts = asdict(replace(fingerprint, plan_sha256=hash_file(plan)))
    content = {"kind": KIND, "glandseg": glandseg.__version__, **facts}
    find_fingerprint_file(plan).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_fingerprint_file(plan: Path) -> Fingerprint:
    """Read the fingerprint file of a plan.

    Raises:
        BadInputError: if it is missing, damaged, or of something else.
    """
    path = find_fingerprint_file(plan)
    if not path.is_file():
        raise BadInputError(f"{plan}: nothing states what it holds, for {path.name} is not there.")
    try:
        content = parse_json(path.read_bytes())
        if content["kind"] != KIND:
            kind = show(content["kind"])
            raise BadInputError(f"{path}: says that {plan.name} is of another kind ({kind}).")
        return _parse_fields({field.name: content[field.name] for field in fields(Fingerprint)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInputError(f"{path}: damaged, or not the fingerprint file of {plan.name}.") from None


def _serves(found: Fingerprint, target: str) -> bool:
    if found.targets:
        return target in found.targets
    return target != TURING


def _show(value: Any) -> str:
    text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text[:12] if len(text) == 64 else show(text)


def _parse_fields(values: dict[str, Any]) -> Fingerprint:
    profile, targets = tuple(values["profile"]), tuple(values["targets"])
    card, share = values["card"], values["share"]
    texts = [values[field.name] for field in fields(Fingerprint) if field.type == "str"]
    if not all(isinstance(text, str) for text in (*texts, *targets)):
        raise ValueError("no text")
    if profile[1:] != (WINDOW_PX, WINDOW_PX, 3) or type(profile[0]) is not int or profile[0] < 1:
        raise ValueError("no profile of windows")
    if not (isinstance(card, dict) and isinstance(share, int | float) and 0 <= share <= 1):
        raise ValueError("no card or share")
    if not all(type(count) is int for kinds in values["layers"].values() for count in kinds.values()):
        raise ValueError("no count of layers")
    return Fingerprint(**values | {"profile": profile, "targets": targets})
