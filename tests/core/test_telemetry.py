"""Nothing that glandseg imports keeps or sends an account of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# No other variable: ONNX Runtime, for one, sends nothing where CI is set.
NEEDED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
LIST_FILES = """
from pathlib import Path
print(sorted(path.name for path in Path.home().rglob("*") if path.is_file()))
"""


def run_in_fresh_home(home: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user who never ran anything; it prints the files in the home folder."""
    variables = {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home), "APPDATA": str(home)}
    kept = {name: os.environ[name] for name in NEEDED if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", program + LIST_FILES],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(
    "program",
    [
        "import glandseg\nimport onnxruntime\n",
        "from glandseg.model.onnx.open_session import import_onnxruntime\nimport_onnxruntime()\n",
        "import glandseg.runtime.infer\n",
        "import glandseg.cli.main\nimport onnxruntime\n",
    ],
)
def test_onnxruntime_keeps_nothing_in_the_home_folder(program: str, tmp_path: Path) -> None:
    assert run_in_fresh_home(tmp_path, program).stdout.strip() == "[]"


def test_it_would_without_the_refusal(tmp_path: Path) -> None:
    """The files appear while the library is imported, so the tests above need no long run to fail."""
    done = run_in_fresh_home(tmp_path, "import onnxruntime\n")
    if done.stdout.strip() == "[]":
        pytest.skip("this ONNX Runtime has no telemetry")
    assert "deviceid" in done.stdout


def test_the_refusals_outweigh_what_the_user_set(tmp_path: Path) -> None:
    program = "import os\nos.environ['ORT_DISABLE_TELEMETRY'] = '0'\nimport glandseg, onnxruntime\n"
    assert run_in_fresh_home(tmp_path, program).stdout.strip() == "[]"


def test_a_library_imported_too_early_is_told(tmp_path: Path) -> None:
    done = run_in_fresh_home(tmp_path, "import onnxruntime\nimport glandseg\n")
    assert "onnxruntime was imported before glandseg, so its telemetry is on" in done.stderr
