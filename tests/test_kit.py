"""The kit for computers without network: its hashes are checked before anything is installed."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    (tmp_path / "wheels").mkdir()
    for name in ("a-1-py3-none-any.whl", "b-2-py3-none-any.whl"):
        (tmp_path / "wheels" / name).write_bytes(name.encode())
    load(TOOLS / "make_kit.py").write_sums(tmp_path)
    return tmp_path


def test_the_wheels_of_a_whole_kit_are_returned(kit: Path) -> None:
    wheels = load(TOOLS / "kit" / "install.py").check_sums(kit)
    assert [wheel.name[0] for wheel in wheels] == ["a", "b"]


@pytest.mark.parametrize("fault", ["changed", "missing", "added"])
def test_a_kit_that_differs_is_refused(kit: Path, fault: str) -> None:
    wheel = kit / "wheels" / "a-1-py3-none-any.whl"
    if fault == "changed":
        wheel.write_bytes(b"other")
    elif fault == "missing":
        wheel.unlink()
    else:
        (kit / "wheels" / "c-3-py3-none-any.whl").touch()
    with pytest.raises(SystemExit, match="SHA256SUMS") as caught:
        load(TOOLS / "kit" / "install.py").check_sums(kit)
    assert "Copy the kit again" in str(caught.value)


def test_a_folder_that_is_not_empty_stays(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["make_kit.py", "--platform", "linux", "--out", str(kit)])
    with pytest.raises(SystemExit, match="is not empty"):
        load(TOOLS / "make_kit.py").main()


def test_what_only_the_other_system_requires_is_found(tmp_path: Path) -> None:
    text = (
        "Name: a\nVersion: 1\nRequires-Dist: b\nRequires-Dist: colorama>=0.4; platform_system == 'Windows'\n"
    )
    text += "Requires-Dist: older; python_version < '3.11'\nRequires-Dist: c; extra == 'dev'\n"
    for name, content in (("a", text), ("b", "Name: b\nVersion: 1\n")):
        with zipfile.ZipFile(tmp_path / f"{name}-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}-1.dist-info/METADATA", content)
    list_missing = load(TOOLS / "make_kit.py").list_missing
    assert list_missing(tmp_path, "windows", "3.12") == ["colorama>=0.4"]
    assert list_missing(tmp_path, "linux", "3.12") == []
    assert list_missing(tmp_path, "linux", "3.10") == ["older"]
