"""`glandseg inspect`: what a model file is, and what it runs on here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from glandseg.cli.console import print_json, say
from glandseg.cli.options import AsJson
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.doctor.finding import Finding
    from glandseg.doctor.inspect_engine import EngineReport
    from glandseg.doctor.inspect_model import FileReport, ModelReport
    from glandseg.export.graph_stats import GraphStats
    from glandseg.model.card import ModelCard

Row: TypeAlias = tuple[str, str]  # label, text; a row without a label continues the one above
Report: TypeAlias = tuple[list[Row], dict[str, Any], bool]  # rows, facts for JSON, whether the file is whole
LABEL_WIDTH = 11


def inspect(
    file: Annotated[
        Path | None, typer.Argument(help="Model file (.onnx or .engine); by default the bundled model.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the card, hashes, layers and GFLOP of a model, and the devices that run it here."""
    from glandseg.model.files import BUNDLED, ENGINE_SUFFIX

    path = file or BUNDLED
    rows, facts, whole = report_engine(path) if path.suffix == ENGINE_SUFFIX else report_model(path)
    if as_json:
        print_json(facts)
    else:
        for label, text in rows:
            say(f"{label:<{LABEL_WIDTH}}{text}")
    if not whole:
        raise typer.Exit(BadInputError.exit_code)


def report_model(path: Path) -> Report:
    """Report on an ONNX file."""
    from glandseg.doctor.devices import try_devices
    from glandseg.doctor.inspect_model import inspect_model

    report = inspect_model(path)
    stats = count_if_possible(path)
    devices = try_devices(path) if report.card else []
    graph = asdict(stats) | {"gflop": stats.gflop} if stats else None
    facts = asdict(report) | {"graph": graph, "devices": [asdict(one) for one in devices]}
    return [*list_model_rows(report, stats, devices)], facts, report.whole


def report_engine(path: Path) -> Report:
    """Report on a TensorRT engine."""
    from glandseg.doctor.inspect_engine import inspect_engine

    report = inspect_engine(path)
    return [*list_engine_rows(report)], asdict(report), report.whole


def count_if_possible(path: Path) -> GraphStats | None:
    """Count the graph; return None where the package `onnx` is not installed, as in deployment."""
    from importlib.util import find_spec

    if find_spec("onnx") is None:
        return None
    from glandseg.export.graph_stats import count_graph

    return count_graph(path)


def list_model_rows(
    report: ModelReport, stats: GraphStats | None, devices: Sequence[Finding]
) -> Iterator[Row]:
    """List the rows of an ONNX file."""
    yield from list_file_rows(report)
    yield from list_card_rows(report.card) if report.card else [("card", report.flaw)]
    yield from label_first("input", map(str, report.inputs))
    yield from label_first("output", map(str, report.outputs))
    yield from list_graph_rows(stats) if stats else [("graph", "pip install onnx to list layers and GFLOP")]
    yield from label_first("runs on", (f"{one.topic:<9} {describe_device(one)}" for one in devices))


def list_engine_rows(report: EngineReport) -> Iterator[Row]:
    """List the rows of an engine."""
    built = report.fingerprint
    yield from list_file_rows(report)
    yield from list_card_rows(report.card) if report.card else [("card", "cannot be read")]
    yield "input", f"windows, ({', '.join(map(str, built.profile))}) uint8"
    yield "built by", f"{built.package} {built.version}, from an ONNX file of sha256 {built.onnx_sha256[:12]}"
    yield "built on", f"{built.system}; GPU {built.gpu}, driver {built.driver}, CUDA {built.cuda}"
    yield "built for", ", ".join(built.targets) or built.compute_capability
    yield (
        "computes",
        f"{built.share:.0%} of its layers in {built.precision}, counted on the {built.measured_on}",
    )
    layers = (
        f"{count:>4} {kind} {precision}"
        for kind, kinds in built.layers.items()
        for precision, count in kinds.items()
    )
    yield from label_first("layers", layers)
    yield (
        "runs here",
        "no: " + "; ".join(report.misfits) if report.misfits else "yes, by its fingerprint file",
    )


def list_file_rows(report: FileReport) -> Iterator[Row]:
    """List name, size, record and hash of a file."""
    yield "file", f"{report.name}, {report.size / 1e6:.1f} MB; {report.record}"
    yield "sha256", report.sha256


def list_card_rows(card: ModelCard) -> Iterator[Row]:
    """List the fields of a model card."""
    yield "model", card.name
    yield "network", card.network
    yield "precision", card.precision
    yield "weights", f"sha256 {card.weights_sha256}" if card.weights_sha256 else "not hashed"
    yield "tissue", card.tissue
    yield "stain", card.stain
    scales = ", ".join(f"{scale:g}" for scale in card.scales)
    windows = f"windows of {card.window_px} px every {card.stride_px} px"
    yield "pixels", f"{card.um_per_px:g} um/px, {windows}, scales {scales}"
    yield "classes", ", ".join(card.classes)
    yield "separation", str(card.separation or "none: glands that touch are one")
    yield from label_first("training", map(describe_source, card.training))
    yield from label_first("scores", (describe_score(*score) for score in (card.scores or {}).items()))
    yield "licence", card.licence
    yield "use", card.use


def list_graph_rows(stats: GraphStats) -> Iterator[Row]:
    """List the layers of a graph: those with products in rows of their own, the others in one."""
    weights = f"{stats.weights / 1e6:.2f} million weights"
    yield "graph", f"opset {stats.opset}, {weights}, {stats.gflop:.2f} GFLOP per window"
    working = [layers for layers in stats.layers if layers.gflop]
    rest = [layers for layers in stats.layers if not layers.gflop]
    rows = [f"{one.count:>4} {one.kind} {one.precision}, {one.gflop:.3f} GFLOP" for one in working]
    others = ", ".join(f"{one.count} {one.kind} {one.precision}" for one in rest)
    yield from label_first("layers", [*rows, *([f"without products: {others}"] if others else [])])


def describe_source(source: object) -> str:
    """Write a training source as "name (licence; attribution)"."""
    facts = dict(source) if isinstance(source, dict) else {"name": str(source)}
    more = "; ".join(str(facts[key]) for key in ("licence", "attribution") if facts.get(key))
    return f"{facts.get('name', 'not named')} ({more})" if more else str(facts.get("name", "not named"))


def describe_score(test: str, score: object) -> str:
    """Write a score as "test: mIoU 88.35 %, F1 93.81 %"."""
    facts = dict(score) if isinstance(score, dict) else {}
    names = {"miou": "mIoU", "f1": "F1", "dice": "Dice"}
    return f"{test}: {', '.join(f'{names[key]} {facts[key]} %' for key in names if key in facts)}"


def describe_device(finding: Finding) -> str:
    """Write whether a device runs the model, and if not, why."""
    reason = f"{finding.text} {finding.cure}".removeprefix(f"{finding.topic}: ").strip()
    return finding.text if finding.level == "ok" else f"does not run: {reason}"


def label_first(label: str, texts: Iterable[str]) -> Iterator[Row]:
    """Yield rows of which only the first has the label."""
    for index, text in enumerate(texts):
        yield ("" if index else label), text
