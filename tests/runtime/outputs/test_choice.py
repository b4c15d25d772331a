"""The outputs that are chosen, and what is refused before a slide is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest
import typer

from glandseg.cli.main import app
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.files import ModelFile
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.outputs.choice import parse_outputs
from glandseg.runtime.outputs.output import Output
from glandseg.runtime.outputs.write import WRITERS, OutputPaths, list_defaults
from glandseg.runtime.settings import InferSettings

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (None, None),
        ([], None),
        (["csv,geojson"], ("geojson", "csv")),
        (["csv", " CSV ,mask,"], ("mask", "csv")),
        (["default,csv"], list_defaults()),
    ],
)
def test_names_are_read(given: list[str] | None, chosen: tuple[str, ...] | None) -> None:
    assert parse_outputs(given) == chosen


@pytest.mark.parametrize(("given", "received"), [("csv,cvs", "cvs"), (",", "none")])
def test_unknown_names_are_refused_with_those_that_exist(given: str, received: str) -> None:
    with pytest.raises(BadInputError, match=rf"default, geojson, .*csv.*Received: {received}$"):
        parse_outputs([given])


def test_the_help_and_the_readme_name_every_output() -> None:
    readme = Path(__file__).parents[3].joinpath("README.md").read_text(encoding="utf-8")
    command = typer.main.get_command(app).commands["infer"]  # type: ignore[attr-defined]
    (told,) = (option.help for option in command.params if option.name == "write")
    for name, output in WRITERS.items():
        assert f"`{name}`" in readme
        assert f"`SLIDE{output.suffix}`" in readme
        assert name in told.replace(",", " ").replace("(", " ").replace(")", " ").rstrip(".").split()


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = Output(".x", WRITERS["csv"].writer, extra="x", libraries=("json", "no_such_library"))
    monkeypatch.setitem(WRITERS, "x", lacking)
    with pytest.raises(EnvironmentLacksError, match=r'needs no_such_library.*pip install "glandseg\[x\]"'):
        parse_outputs(["x"])


@pytest.fixture
def run(red_model: Path, model: ModelFile, draw_disks: Callable[..., Any], tmp_path: Path) -> Run:
    """Return a function that finds the glands of a slide with a disk, into the folder "out"."""

    def infer(*write: str, radius: float = 80.0, overwrite: bool = False, **options: Any) -> Result:
        image = draw_disks(400, 400, [(200.0, 200.0, radius)], [])
        cv2.imwrite(str(tmp_path / "disk.png"), image[..., ::-1])
        settings = InferSettings(mpp=0.5, write=write or None)
        with CpuSession(red_model, threads=1) as session:
            return infer_slide(
                tmp_path / "disk.png",
                session,
                model,
                settings,
                out=tmp_path / "out",
                overwrite=overwrite,
                **options,
            )

    return infer


def list_names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_only_the_chosen_are_written_and_the_record_says_which(run: Run, tmp_path: Path) -> None:
    result = run("csv", "mask")
    assert list_names(tmp_path) == ["disk.glands.csv", "disk.mask.ome.tif", "disk.run.json"]
    assert sorted(path.name for path in result.outputs) == list_names(tmp_path)
    record = json.loads((tmp_path / "out" / "disk.run.json").read_text(encoding="utf-8"))
    assert record["settings"]["write"] == ["csv", "mask"]


def test_outputs_of_an_earlier_run_stay_and_are_named(run: Run, tmp_path: Path) -> None:
    run("csv")
    told: list[str] = []
    run("geojson", say=told.append)
    assert list_names(tmp_path) == ["disk.glands.csv", "disk.glands.geojson", "disk.run.json"]
    assert "disk.glands.csv: of an earlier run, not written by this one" in told


def test_outputs_of_another_slide_are_protected_whatever_is_chosen(run: Run, tmp_path: Path) -> None:
    run("csv")
    with pytest.raises(BadInputError, match=r"disk\.glands\.csv: is of another slide"):
        run("geojson", radius=60.0)
    run("geojson", radius=60.0, overwrite=True)
    assert list_names(tmp_path) == ["disk.glands.geojson", "disk.run.json"]


def test_a_slide_of_another_format_is_refused_before_it_is_run(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WRITERS, "x", Output(".x", WRITERS["csv"].writer, formats=("dicom",)))
    with pytest.raises(BadInputError, match=r"disk\.png: --write x needs a slide of format dicom"):
        run("x")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_the_place_of_a_file_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out" / "disk.glands.csv").mkdir(parents=True)
    (tmp_path / "out" / "disk.glands.csv" / "own").touch()
    with pytest.raises(EnvironmentLacksError, match="cannot be written"):
        run("csv", overwrite=True)
    assert (tmp_path / "out" / "disk.glands.csv" / "own").exists()


def test_paths_know_what_an_earlier_run_left(tmp_path: Path) -> None:
    paths = OutputPaths(tmp_path, "a", ("csv",))
    (tmp_path / "a.glands.csv").touch()
    assert paths.others == []
    (tmp_path / "a.mask.ome.tif").touch()
    assert paths.others == [tmp_path / "a.mask.ome.tif"]


@pytest.mark.skipif(find_spec("zarr") is None, reason='needs pip install "glandseg[zarr]"')
def test_an_output_that_is_a_folder_is_replaced_by_the_next_run(run: Run, tmp_path: Path) -> None:
    run("zarr")
    first = sorted(path.relative_to(tmp_path) for path in (tmp_path / "out").rglob("*"))
    assert (tmp_path / "out" / "disk.labels.ome.zarr" / "labels" / "glands" / "zarr.json").is_file()
    run("zarr")
    assert sorted(path.relative_to(tmp_path) for path in (tmp_path / "out").rglob("*")) == first
    run("csv", radius=60.0, overwrite=True)
    assert list_names(tmp_path) == ["disk.glands.csv", "disk.run.json"]
