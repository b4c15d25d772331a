"""The documentation's site: links that lead out of docs, and a build that fails on a broken one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.site_pages import ROOT, list_outside, redirect


@pytest.mark.parametrize(
    ("folder", "link", "on_site"),
    [
        ("docs", "training.md#labels", "training.md#labels"),
        ("docs", "../results/a.json", "repository/results/a.json"),
        ("docs", "accuracy/a.md", "accuracy/a.md"),
        ("", "docs/training.md#labels", "training.md#labels"),
        ("", "LICENSE", "repository/LICENSE"),
        ("", "https://example.org/a.md", "https://example.org/a.md"),
        ("docs", "#below", "#below"),
    ],
)
def test_links_lead_to_the_same_file(folder: str, link: str, on_site: str) -> None:
    assert redirect(f"see [that]({link}).", folder) == f"see [that]({on_site})."


def test_files_outside_docs_are_found() -> None:
    assert list_outside("[a](docs/b.md) [c](LICENSE) [d](https://e.org)", "") == ["LICENSE"]
    assert list_outside("[a](b.md) [c](../results/d.json)", "docs") == ["results/d.json"]


@pytest.mark.parametrize("broken", ["gone.md", "../results/gone.json", "training.md#gone"])
def test_a_broken_link_fails_the_build(tmp_path: Path, broken: str) -> None:
    for folder in ("docs", "results", "benchmarks/results", "examples", "glandseg"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "tools").mkdir()
    for name in ("mkdocs.yml", "README.md", "LICENSE", "NOTICE", "tools/site_pages.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "docs" / "training.md").open("a", encoding="utf-8") as file:
        file.write(f"\n[broken]({broken})\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "gone" in done.stderr
    assert done.stderr.count("WARNING -") == 1
