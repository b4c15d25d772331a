"""The fingerprint file of a plan, NAME.engine.json: beside the plan, whose format is TensorRT's own."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import glandseg
from glandseg.core.errors import BadInputError, show
from glandseg.core.json_text import parse_json
from glandseg.core.system import hash_file
from glandseg.model.tensorrt.fingerprint import Fingerprint
from glandseg.model.windows import WINDOW_PX

KIND = "TensorRT engine of glandseg"
FINGERPRINT_SUFFIX = ".json"  # after the plan's own


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
