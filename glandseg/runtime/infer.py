"""One slide from file to outputs in five steps: open, thumbnail, windows, glands, outputs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glandseg.core.callbacks import Advance, Say
from glandseg.core.errors import GlandsegError
from glandseg.core.trace import Trace
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.runtime.checks.check_geojson import check_geojson
from glandseg.runtime.glands.store import Glands
from glandseg.runtime.glands.summary import summarise_glands
from glandseg.runtime.maps.tile_map import ReadableMap
from glandseg.runtime.maps.uncertainty import suggest_regions
from glandseg.runtime.outputs.choice import choose_outputs
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.record import write_record
from glandseg.runtime.outputs.report.report import REPORT_SUFFIX, end_report
from glandseg.runtime.outputs.write import OutputPaths, write_outputs
from glandseg.runtime.preflight import choose_batch
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.slide_facts import describe_frame, list_late_warnings
from glandseg.runtime.slide_run import SlideRun, open_run
from glandseg.runtime.slide_scope import measure_distance
from glandseg.runtime.slide_tissue import Tissue, find_tissue, measure_unread, show_slide, watch_unread
from glandseg.runtime.slide_windows import SlideWindows
from glandseg.runtime.tissue.scope import Distance


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found on a slide.

    Attributes:
        outputs: Files written.
        glands: Number of glands.
        mask_glands: Number of glands where those that touch count as one.
        gland_mm2: Area of the glands, in mm2.
        tissue_mm2: Area of the tissue, its margin included, within the regions of interest, in mm2.
        unread_share: Share of that tissue that could not be read and was left out, 0..1.
        windows: Number of windows that the network finished.
        network_share: Share of the time between thumbnail and outputs in which the network was busy, 0..1.
        seconds: Seconds in which each stage was busy; stages overlap.
        warnings: Warnings for a reader of the outputs.
    """

    outputs: tuple[Path, ...] = ()
    glands: int
    mask_glands: int
    gland_mm2: float
    tissue_mm2: float
    unread_share: float
    windows: int
    network_share: float
    seconds: dict[str, float]
    warnings: tuple[str, ...]


def infer_slide(
    path: Path,
    backend: ModelBackend,
    model: ModelFile,
    settings: InferSettings,
    *,
    out: Path | None = None,
    stem: str | None = None,
    advance: Advance = lambda done, total: None,
    say: Say = lambda text: None,
    warn: Say = lambda text: None,
    trace: Trace | None = None,
    overwrite: bool = False,
) -> Result:
    """Find the glands of a slide and write what QuPath opens: all outputs or none.

    After an interruption at any moment the same call resumes, and writes the same bytes.

    Args:
        path: Slide file.
        backend: Model, ready to run.
        model: Model file, for the record.
        settings: Settings of the inference.
        out: Folder of the outputs; None for the slide's own.
        stem: What the outputs' names begin with; None for the slide's name without its suffix.
        advance: Called with (windows done, windows in all).
        say: Called with lines on what the slide is and will take, before the network runs.
        warn: Called with each of the result's warnings that is known before the windows run.
        trace: Trace to which the time spent is added, also when the slide fails.
        overwrite: Replace outputs of another slide that have the same names.

    Raises:
        BadInputError: The slide cannot be read or changes meanwhile, its um/px is neither in the file
            nor given, or outputs of another slide are in the way.
        EnvironmentLacksError: The outputs cannot be written, or there is not enough memory or disk.
        StalledError: The disk or the network does not answer.
        UnreadError: Too much of the tissue cannot be read.
    """
    own = Trace(keeps_spans=trace is not None and trace.keeps_spans)
    paths = OutputPaths.of_slide(path, out, choose_outputs(settings), stem)
    with ExitStack() as opened:
        if trace is not None:
            opened.callback(trace.absorb, own)
        run = opened.enter_context(
            open_run(path, paths, backend, model, settings, trace=own, say=say, overwrite=overwrite)
        )
        tissue = find_tissue(run, warn)
        distance = measure_distance(run, tissue, warn)
        windows = opened.enter_context(SlideWindows(run, tissue))
        batch = choose_batch(run, windows)
        with own.span("windows"):
            tracer = windows.run_all(batch, watch_unread(run, tissue, advance))
            with own.span("finish"):
                glands, mask_glands = tracer.finish()
        return _write(run, tissue, distance, glands, mask_glands, windows, tracer.probability)


def _write(
    run: SlideRun,
    tissue: Tissue,
    distance: Distance | None,
    glands: Glands,
    mask_glands: Glands,
    windows: SlideWindows,
    probability: ReadableMap,
) -> Result:
    """Write the outputs into the work folder, the record last."""
    unread_share = measure_unread(run, tissue)
    paths = replace(run.paths, folder=run.work)
    found = SlideGlands(
        name=paths.stem,
        slide_path=run.slide.path,
        glands=glands,
        mask_glands=mask_glands,
        plane=run.base,
        extent_px=run.extent_px,
        slide_sha256=run.slide_sha256,
        model_sha256=run.model.sha256,
        borders=run.list_borders(),
        imagery=show_slide(run, tissue, probability),
        metadata=describe_frame(run.slide, run.base),
        unread=run.unread_regions.list_features(run.slide_sha256),
        suggestions=suggest_regions(
            probability, run.base.um_per_px, run.base.l0_per_px, run.settings.suggest
        ),
        csv_decimal=run.settings.csv_decimal,
        report_bytes=int(run.settings.report_mb * 1e6),
    )
    with run.trace.span("write"):
        notes = write_outputs(found, paths)
    with run.trace.span("check"):
        check_outlines(paths)
    late_warnings = list_late_warnings(found, tissue.inside, run.unread_regions)
    times = run.trace.get_times()
    network_s = times["network"].busy_s if "network" in times else 0.0
    result = Result(
        outputs=tuple(run.paths.folder / name for name in run.paths.names),
        glands=len(glands),
        mask_glands=len(mask_glands),
        gland_mm2=round(found.area_mm2, 6),
        tissue_mm2=round(tissue.area_mm2, 6),
        unread_share=round(unread_share, 6),
        windows=windows.count_finished(),
        network_share=round(network_s / max(times["windows"].busy_s, 1e-9), 4),
        seconds={name: stage.busy_s for name, stage in times.items()},
        warnings=(
            *tissue.warnings,
            *(distance.list_warnings() if distance else ()),
            *late_warnings,
            *notes,
        ),
    )
    suggestions = [asdict(region) for region in found.suggestions]
    seen = {
        "summary": summarise_glands(glands, run.base.um_per_px, tissue.area_mm2),
        "scope": asdict(distance) if distance else None,
        "suggestions": suggestions,
    }
    record = write_record(paths.record, _describe_run(run, windows, result) | seen)
    if "report" in run.paths.outputs:
        end_report(paths[REPORT_SUFFIX], record)
    return result


def check_outlines(paths: OutputPaths) -> None:
    """Check the outlines by QuPath's rules before success is reported.

    Raises:
        GlandsegError: QuPath would reject them.
    """
    for name in ("geojson", "geojson.gz"):
        if name in paths.outputs:
            path = paths[paths.outputs[name].suffix]
            if fault := next(check_geojson(path), None):
                raise GlandsegError(f"{path.name}: {fault}: QuPath would reject it. Report this fault.")


def _describe_run(run: SlideRun, windows: SlideWindows, result: Result) -> dict[str, Any]:
    """Return what the record holds of a run; no user, host or path."""
    model, scales = run.model, [item.scale for item in windows.planes]
    frame = describe_frame(run.slide, run.base)
    return {
        "slide": {"sha256": run.slide_sha256, **frame, "said": list(run.slide.statements)},
        "model": {
            "sha256": model.sha256,
            "origin": model.origin,
            "choice": model.choice,
            "card": asdict(run.backend.card),
        },
        "separation": asdict(run.separation) if run.separation else None,
        "backend": run.backend.name,
        "settings": asdict(run.settings) | {"scales": scales, "roi": bool(run.roi)},
        "result": {key: value for key, value in asdict(result).items() if key != "outputs"},
        "unread": [asdict(entry) for entry in run.unread_regions.entries],
    }
