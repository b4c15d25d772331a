"""Evaluate runs or a model file as `glandseg evaluate` does, and record the scores in `results/`.

    python benchmarks/record_result.py ROW RUN... --data DATA --part testA
    python benchmarks/results_page.py

ROW is a key of `results/tables.yaml`. Each run becomes `results/ROW.seed-N.json`, a model file, whose seed
is not known, `results/ROW.json`; a rerun replaces it. Code that is not committed is refused, for the result
names the commit that it was measured with.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import glandseg
from benchmarks.measured_on import describe_circumstances
from benchmarks.recorded_results.definitions import read_definitions
from benchmarks.recorded_results.grades import group_by_grade
from benchmarks.recorded_results.provenance import find_commit, hash_samples
from benchmarks.recorded_results.result import FOLDER, Result
from benchmarks.recorded_results.training_facts import describe_training, name_path
from glandseg.cli.evaluate import score_model
from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.runtime.outputs.record import list_versions
from glandseg.runtime.settings import ADAPTIVE, InferSettings, parse_scales
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.evaluate import choose_part, keep_outlined
from glandseg.training.evaluation.score_table import SETTINGS, Scored
from glandseg.training.run import open_run


def main(arguments: Sequence[str] | None = None) -> None:
    """Record a result for each run named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("row", help="key of the row in results/tables.yaml")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run folder, or a model file")
    parser.add_argument("--data", type=Path, required=True, help="data folder with outline masks")
    parser.add_argument("--part", required=True, help="part of it, such as testA or test")
    parser.add_argument("--scales", help="as of glandseg evaluate; by default the model's")
    parser.add_argument("--flips", action="store_true", help="average with the flipped image")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the results")
    options = parser.parse_args(arguments)
    try:
        for path in options.runs:
            print(record(path, options))
    except GlandsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def record(path: Path, options: argparse.Namespace) -> Path:
    """Evaluate a run or model file, and write its result.

    Raises:
        BadInputError: If the row is of other data, the run learned from what it is scored on, or code in
            glandseg/ is not committed.
        EnvironmentLacksError: If there is no git checkout.
    """
    commit = find_commit()
    row = read_definitions().find_row(options.row)
    data_set = keep_outlined(find_samples(options.data))
    if (data_set.kind, options.part) != (row.data, row.part):
        raise BadInputError(
            f"{options.row}: is of {row.data} {row.part}. Received: {data_set.kind} {options.part}. "
            "Give its data, or another row."
        )
    if data_set.um_per_px is None:
        raise BadInputError(f"{options.data}: its um/px is unknown. Add a column um_per_px to its table.")
    samples = choose_part(data_set, options.part)
    settings = InferSettings(
        scales=parse_scales(options.scales), adaptive=options.scales == ADAPTIVE, flips=options.flips
    )
    run = open_run(path) if path.is_dir() else None
    started = time.monotonic()
    scored, _ = score_model(
        path,
        path.resolve().name,
        False,
        data_set,
        {options.part: samples},
        data_set.um_per_px,
        settings,
        device=options.device,
        threads=options.threads,
        worst=0,
    )
    evaluation_s = round(time.monotonic() - started, 1)
    refuse_seen(scored, samples, data_set.kind)
    groups = group_by_grade(options.data, data_set, samples)
    circumstances = describe_circumstances()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    result = Result(
        row=options.row,
        seed=run.settings.segmenter.fit.seed if run else None,
        date=date.today().isoformat(),
        command=describe_command(path, options, data_set.kind),
        commit=commit,
        model=describe_model(scored),
        inference={
            "scales": list(settings.choose_scales(scored.model.scales)[0]),
            **{name: getattr(settings, name) for name in SETTINGS},
            "flips": settings.flips or scored.model.flips,
        },
        training=describe_training(run) if run else None,
        data={
            "kind": data_set.kind,
            "part": options.part,
            "images": len(samples),
            "sha256": hash_samples(samples),
        },
        machine={**circumstances["machine"], "gpu": gpu},
        versions={
            "glandseg": glandseg.__version__,
            "torch": metadata.version("torch"),
            **list_versions(),
        },
        seconds={"training": run.record.get("seconds") if run else None, "evaluation": evaluation_s},
        scores=scored.evaluation.list_scores(),
        groups={name: scored.evaluation.pick(some).list_scores() for name, some in groups.items()},
    )
    return result.write(options.out)


def refuse_seen(scored: Scored, samples: Sequence[Sample], kind: str) -> None:
    """Raise if a run was trained or validated on samples that it is scored on."""
    names = {sample.name for sample in samples}
    seen = len(names & scored.model.seen) if scored.model.data == kind else 0
    if seen:
        raise BadInputError(
            f"{scored.name}: was trained or validated on {seen} of these {len(names)} images. "
            "Give a part that it did not learn from."
        )


def describe_model(scored: Scored) -> dict[str, Any]:
    """Return the facts of a model."""
    model = scored.model
    return {
        "name": model.name,
        "file": model.path.name,
        "sha256": model.sha256,
        "um_per_px": model.um_per_px,
        "backend": model.backend.name,
    }


def describe_command(path: Path, options: argparse.Namespace, kind: str) -> str:
    """Return the command of one result, with names in place of the paths of this machine."""
    words = ["python", "benchmarks/record_result.py", options.row, name_path(str(path))]
    words += ["--data", kind.upper(), "--part", options.part]
    words += ["--scales", options.scales] if options.scales else []
    words += ["--flips"] if options.flips else []
    return shlex.join(words)


if __name__ == "__main__":
    main()
