"""Checks of the model files on this machine."""

from __future__ import annotations

from pathlib import Path

from glandseg.core.errors import GlandsegError
from glandseg.doctor.finding import Finding, note, ok, problem
from glandseg.model.files import BUNDLED, check_model, find_record
from glandseg.model.onnx.onnx_file import check_one_file

EXPORTS = Path("models")


def check_models(bundled: Path = BUNDLED, exports: Path = EXPORTS) -> list[Finding]:
    """Hash the bundled model and the exports in `exports`, and compare them with their records."""
    own = [_check(bundled, needed=True)]
    rest = [_check(path, needed=False) for path in sorted(exports.glob("*/*.onnx"))]
    whole = [finding for finding in rest if finding.level == "ok"]
    faulty = [finding for finding in rest if finding.level != "ok"]
    counted = [ok("models", f"{len(whole)} below {exports} agree with their records")] if whole else []
    return own + counted + faulty


def _check(path: Path, needed: bool) -> Finding:
    try:
        sha256 = check_model(path, "").sha256
        check_one_file(path)
    except GlandsegError as error:
        return problem("models", str(error)) if needed else note("models", str(error))
    if not find_record(path).is_file() and needed:
        return problem("models", f"{path.name}: its record is missing", "Install glandseg again.")
    return ok("models", f"{path.name}: whole, sha256 {sha256[:12]}")
