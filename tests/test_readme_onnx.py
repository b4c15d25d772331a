"""The README's script runs a model in plain ONNX Runtime, without glandseg."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import numpy as np

from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.synthetic import draw_tile

README = Path(__file__).parents[1] / "README.md"
FIRST_LINE = "# run_onnx.py MODEL.onnx IMAGE.png PROBABILITY.png"
# Without `site`, no editable install is found; None among the modules forbids an installed one, too.
PROGRAM = """
import sys
sys.path += {paths!r}
sys.modules["glandseg"] = None
sys.argv = {arguments!r}
exec(compile({script!r}, "run_onnx.py", "exec"))
assert not [name for name in sys.modules if name.startswith("glandseg.")]
"""


def read_script() -> str:
    """The block of the README that begins with the first line."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (script,) = [block for block in blocks if block.startswith(FIRST_LINE)]
    return str(script)


def test_script_runs_without_glandseg_and_gives_what_glandseg_gives(tmp_path: Path) -> None:
    tile = draw_tile(320, 1.3, 0, "glands")[0]
    image, out = tmp_path / "tile.png", tmp_path / "probability.png"
    cv2.imwrite(str(image), tile[..., ::-1])
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    arguments = ["run_onnx.py", str(BUNDLED), str(image), str(out)]
    program = PROGRAM.format(paths=paths, arguments=arguments, script=read_script())
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert '"um_per_px": 1.3' in done.stdout
    with CpuSession(BUNDLED) as session:
        expected = session.infer(tile[None])[0, 1]
    given = np.asarray(cv2.imread(str(out), cv2.IMREAD_GRAYSCALE))
    assert np.array_equal(given, expected)


def test_script_is_short() -> None:
    assert len(read_script().splitlines()) <= 12
