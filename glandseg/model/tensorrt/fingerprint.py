"""What a plan was built from, with and for, and whether that fits what is here; asked before it is loaded."""

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
    """The plan is whole and known, or was, but does not fit what is here; it can be rebuilt (exit code 4)."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Facts of a plan.

    Attributes:
        onnx_sha256: of the ONNX file that it was built from.
        weights_sha256: of the trained weights, from the model card.
        plan_sha256: of the plan's bytes.
        package: name by which the TensorRT that built it is imported.
        version: of that TensorRT.
        system: operating system and processor where it was built.
        gpu: there; "none" where there was none.
        compute_capability: of that GPU.
        driver: of that GPU.
        cuda: the newest that the driver runs.
        profile: of the input `windows`: (N, 320, 320, 3), the one shape that it takes.
        precision: of the ONNX file.
        share: of the layers that compute in that precision, 0..1.
        measured_on: "engine" or "network", which layers were counted.
        layers: their number, by type of layer, then by number type.
        targets: GPUs that it was built for, "sm89"; none means the local one or, for RTX, all from Ampere on.
        card: the model card.
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
        """Give the number of windows that the plan takes at once."""
        return self.profile[0]


def check_fingerprint(plan: Path, found: Fingerprint, needed: Fingerprint) -> None:
    """Compare a plan and its fingerprint file with what is needed here, before the plan is loaded.

    Args:
        plan: path of the plan.
        found: read from its fingerprint file.
        needed: what a plan built now, here, would be; its targets are the GPUs that must be served.

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


def _serves(found: Fingerprint, target: str) -> bool:
    if found.targets:
        return target in found.targets
    return target != TURING


def _show(value: Any) -> str:
    text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text[:12] if len(text) == 64 else show(text)


def find_fingerprint_file(plan: Path) -> Path:
    """Give the path of a plan's fingerprint file."""
    return plan.with_name(plan.name + FINGERPRINT_SUFFIX)


def write_fingerprint_file(plan: Path, fingerprint: Fingerprint) -> None:
    """Write the fingerprint file of a plan that was written, with the plan's hash."""
    facts = asdict(replace(fingerprint, plan_sha256=hash_file(plan)))
    content = {"kind": KIND, "glandseg": glandseg.__version__, **facts}
    find_fingerprint_file(plan).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_fingerprint_file(plan: Path) -> Fingerprint:
    """Read the fingerprint file of a plan.

    Raises:
        BadInputError: if there is none, it is damaged, or it is of something else.
    """
    path = find_fingerprint_file(plan)
    if not path.is_file():
        raise BadInputError(f"{plan}: nothing tells what it holds, for {path.name} is not there.")
    try:
        content = parse_json(path.read_bytes())
        if content["kind"] != KIND:
            kind = show(content["kind"])
            raise BadInputError(f"{path}: says that {plan.name} is of another kind ({kind}).")
        return _thaw({field.name: content[field.name] for field in fields(Fingerprint)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInputError(f"{path}: damaged, or not the fingerprint file of {plan.name}.") from None


def _thaw(values: dict[str, Any]) -> Fingerprint:
    profile, targets = tuple(values["profile"]), tuple(values["targets"])
    card, share = values["card"], values["share"]
    texts = [values[field.name] for field in fields(Fingerprint) if field.type == "str"]
    if not all(isinstance(text, str) for text in (*texts, *targets)):
        raise ValueError("a text is none")
    if profile[1:] != (WINDOW_PX, WINDOW_PX, 3) or type(profile[0]) is not int or profile[0] < 1:
        raise ValueError("the profile is not one of windows")
    if not (isinstance(card, dict) and isinstance(share, int | float) and 0 <= share <= 1):
        raise ValueError("the card or the share is none")
    if not all(type(count) is int for kinds in values["layers"].values() for count in kinds.values()):
        raise ValueError("the layers are not counted")
    return Fingerprint(**values | {"profile": profile, "targets": targets})
