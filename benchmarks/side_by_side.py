"""glandseg and other slide tools on one slide with one network: seconds, memory, Dice.

Whole processes, from their start to the finished mask on disk, taking turns. Each rival runs in its own
environment below --venvs; one that is missing or fails is listed with the reason. MONAI and TIAToolbox run
the same ONNX file through a thin PyTorch module, so that the network costs all the same; with --run, both run
a second time as they are mostly used, with the network in PyTorch. The rivals write a flat mask, glandseg
also outlines, measurements and an overview.

    python -m benchmarks.rivals.install VENVS
    python benchmarks/side_by_side.py --venvs VENVS --int8 NAME.int8.onnx --json benchmarks/results/NAME.json

Environment variables that a rival needs, such as FAST's path to OpenCL, go into VENVS/NAME/environment.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from benchmarks.mask_overlap import compare_masks
from benchmarks.rivals.float_model import write_float_model
from benchmarks.rivals.install import find_python
from benchmarks.rivals.torch_model import write_torch_model
from benchmarks.watched_run import WatchedRun, watch
from glandseg.core.system import count_cpus

REPOSITORY = Path(__file__).parents[1]
RIVALS = {
    "plain": "plain_loop",
    "monai": "monai_inferer",
    "tiatoolbox": "tiatoolbox_segmentor",
    "fast": "fast_pipeline",
}
IN_TORCH = {"monai-torch": "monai", "tiatoolbox-torch": "tiatoolbox"}
OURS = "glandseg"
OURS_INT8 = "glandseg-int8"
BATCH = 8
RARELY_S = 0.2  # between two samples of memory, so as not to disturb


@dataclass(kw_only=True)
class Contestant:
    """A tool in the comparison.

    Attributes:
        name: Name of the contestant.
        command: Command that writes `mask`; its folder is emptied before each run.
        mask: Mask file.
        environment: Its own environment variables.
        runs: Finished runs.
        reason: Why it does not run.
    """

    name: str
    command: Sequence[str]
    mask: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    runs: list[WatchedRun] = field(default_factory=list)
    reason: str = ""

    def run(self) -> None:
        """Run once more, unless it failed before."""
        if self.reason:
            return
        shutil.rmtree(self.mask.parent, ignore_errors=True)
        self.mask.parent.mkdir()
        done = watch(self.command, interval_s=RARELY_S, environment={**os.environ, **self.environment})
        if done.exit_code or not self.mask.is_file():
            self.reason = f"exit code {done.exit_code}: {done.output[-300:]}"
            return
        self.runs.append(done)
        print(f"{self.name}: {done.seconds:.1f} s", flush=True)


def main() -> None:
    """Run all in turns, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--venvs", type=Path, required=True, help="folder of the rivals' environments")
    parser.add_argument(
        "--only", nargs="+", default=[OURS, OURS_INT8, *RIVALS, *IN_TORCH], help="contestants"
    )
    parser.add_argument("--int8", type=Path, help="NAME.int8.onnx")
    parser.add_argument("--run", type=Path, help="folder of the run that the model was exported from")
    parser.add_argument("--runs", type=int, default=3)
    add_case_options(parser, side=8192)
    args = parser.parse_args()
    with prepare_case(args) as case:
        contestants = [one for one in list_contestants(case, args) if one.name in args.only]
        for _ in range(args.runs):
            for contestant in contestants:
                contestant.run()
        facts = {"cpus": count_cpus(), "batch": BATCH, "contestants": list_results(contestants, case.truth)}
    report_result(args, {**case.facts, **facts})


def list_contestants(case: Case, args: argparse.Namespace) -> list[Contestant]:
    """List glandseg, also with the INT8 model if there is one, and the rivals."""
    options = ["--threads", str(count_cpus()), "--batch", str(BATCH), *args.options]
    ours = {OURS: case.model} | ({OURS_INT8: args.int8} if args.int8 else {})
    contestants = [
        Contestant(
            name=name,
            command=case.command(case.folder / name, options, model),
            mask=case.mask(case.folder / name),
        )
        for name, model in ours.items()
    ]
    in_torch = IN_TORCH if args.run else {}
    rivals = {name: name for name in RIVALS} | in_torch
    models = write_models(case, args.run)
    return [
        *contestants,
        *(enter_rival(name, rival, case, args.venvs / rival, models[name]) for name, rival in rivals.items()),
    ]


def write_models(case: Case, run: Path | None) -> dict[str, Path]:
    """Write the network in each rival's format; return the files by contestant."""
    models = dict.fromkeys(RIVALS, case.model) | {"fast": case.folder / "float.onnx"}
    write_float_model(case.model, models["fast"])
    if run:
        models |= dict.fromkeys(IN_TORCH, case.folder / "torch.pt")
        write_torch_model(run, case.folder / "torch.pt")
    return models


def enter_rival(name: str, rival: str, case: Case, venv: Path, model: Path) -> Contestant:
    """Build a rival in its environment."""
    program, mask = find_python(venv), case.folder / name / "mask.tif"
    where = [str(path) for path in (case.slide, model, mask)]
    options = ["--um", str(case.um), "--threads", str(count_cpus()), "--batch", str(BATCH)]
    own = venv / "environment.json"
    variables = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    return Contestant(
        name=name,
        command=[str(program), "-m", f"benchmarks.rivals.{RIVALS[rival]}", *where, *options],
        mask=mask,
        environment={"PYTHONPATH": str(REPOSITORY), **variables},
        reason="" if program.is_file() else "not installed",
    )


def list_results(contestants: Sequence[Contestant], truth: Path) -> dict[str, object]:
    """List all seconds, memory and Dice, and the ratios to glandseg's seconds."""
    ours = next((one for one in contestants if one.name == OURS and one.runs), None)
    return {one.name: describe(one, ours, truth) if one.runs else one.reason for one in contestants}


def describe(one: Contestant, ours: Contestant | None, truth: Path) -> dict[str, object]:
    """Return a contestant's numbers."""
    seconds = [run.seconds for run in one.runs]
    facts: dict[str, object] = {
        "seconds": seconds,
        "min_s": min(seconds),
        "median_s": round(statistics.median(seconds), 3),
        "cpu_s": min(run.cpu_s for run in one.runs),
        "peak_mib": max((run.peak_mib or 0 for run in one.runs), default=0),
        "dice_truth": round(compare_masks(one.mask, truth).dice, 4),
    }
    if ours and ours is not one:
        median = statistics.median(run.seconds for run in ours.runs)
        facts["times_glandseg"] = round(statistics.median(seconds) / median, 2)
        facts["dice_glandseg"] = round(compare_masks(one.mask, ours.mask).dice, 4)
    return facts | read_stages(one.runs[-1].output)


def read_stages(output: str) -> dict[str, object]:
    """Parse the last line of JSON that a rival printed: seconds by stage, versions."""
    lines = [line for line in output.splitlines() if line.startswith('{"stages_s"')]
    return dict(json.loads(lines[-1])) if lines else {}


if __name__ == "__main__":
    main()
