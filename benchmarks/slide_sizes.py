"""Peak memory and seconds of `glandseg infer` on slides of several sizes: memory should not grow with them.

    python benchmarks/slide_sizes.py --json benchmarks/results/NAME.json
    python benchmarks/slide_sizes.py --sizes 8192 32768 -- --max-ram 2

A size is a side in level-0 px, or SIDE:SHARE with the share of the slide that is tissue.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from benchmarks.mask_overlap import compare_masks
from benchmarks.watched_run import watch
from glandseg.core.system import count_cpus

SIZES = ("8192", "32768", "100000:0.05")
AIM = 1.10  # highest peak over lowest


def main() -> None:
    """Run every size, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    add_case_options(parser, side=8192)
    args = parser.parse_args()
    sizes, facts = {}, dict[str, object]()
    for size in args.sizes:
        side, _, share = size.partition(":")
        with prepare_case(args, int(side), float(share or args.tissue)) as case:
            sizes[size] = measure_size(case, args.options)
            facts = case.facts
        print(f"{size}: {sizes[size]}", flush=True)
    shared = {name: facts[name] for name in ("model", "options")}
    report_result(args, {**shared, "cpus": count_cpus(), "sizes": sizes, **find_growth(sizes), "aim": AIM})


def measure_size(case: Case, options: Sequence[str]) -> dict[str, object]:
    """Run once on one slide; return seconds, memory, Dice, and the sizes of slide and outputs."""
    out = case.folder / "out"
    run = watch(case.command(out, ["--threads", str(count_cpus()), *options]))
    measured = {name: value for name, value in asdict(run).items() if name != "output"}
    if run.exit_code:
        return {**measured, "output": run.output}
    return {
        **measured,
        "slide_mib": round(case.slide.stat().st_size / 2**20, 1),
        "outputs_mib": round(sum(path.stat().st_size for path in out.iterdir()) / 2**20, 1),
        "dice_truth": round(compare_masks(case.mask(out), case.truth).dice, 4),
    }


def find_growth(sizes: dict[str, dict[str, object]]) -> dict[str, float]:
    """Return the ratio of the highest peak to the lowest."""
    growth = {}
    for name in ("peak_mib", "peak_anonymous_mib"):
        peaks = [value for size in sizes.values() if isinstance(value := size[name], float)]
        if peaks:
            growth[f"{name}_highest_over_lowest"] = round(max(peaks) / min(peaks), 3)
    return growth


if __name__ == "__main__":
    main()
