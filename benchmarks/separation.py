"""CPU seconds of an inference with touching glands told apart, over those without.

Both run the same slide in this process, in turns. The bundled model's card has no rule, so that one is put in
its place; with --channel core, a core channel is needed.

    python benchmarks/separation.py --side 8192 --runs 3 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.bench_case import Case, add_case_options, prepare_case, report_result
from glandseg.core.system import count_cpus
from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.separation import CHANNELS, Separation
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.settings import InferSettings

AIM = 1.05


def main() -> None:
    """Measure both in turns, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--channel", choices=CHANNELS, default="gland")
    parser.add_argument("--threshold", type=float, default=0.75, help="minimum probability of a seed")
    parser.add_argument("--reach", type=float, default=10.0, help="reach of a seed, in um")
    add_case_options(parser, side=8192)
    args = parser.parse_args()
    if args.options:
        parser.error("options of `glandseg infer` are not taken: it is not run as a command")
    rule = Separation(channel=args.channel, threshold=args.threshold, reach_um=args.reach)
    cpu_s: dict[bool, list[float]] = {False: [], True: []}
    glands: dict[str, int] = {}
    with prepare_case(args) as case, CpuSession(case.model, threads=count_cpus()) as session:
        session.card = replace(session.card, separation=rule)
        for run in range(args.runs):
            for separate in (False, True):
                out = case.folder / f"run-{run}-{separate}"
                before = time.process_time()
                result = infer(case, session, separate, out)
                cpu_s[separate].append(round(time.process_time() - before, 2))
                glands = {"together": result.mask_glands, "apart": result.glands}
        facts = {
            **case.facts,
            "cpus": count_cpus(),
            "rule": asdict(rule),
            "glands": glands,
            "cpu_s": {"together": cpu_s[False], "apart": cpu_s[True]},
            **{
                f"apart_over_together_{how.__name__}": round(how(cpu_s[True]) / how(cpu_s[False]), 3)
                for how in (statistics.median, min)
            },
            "aim": AIM,
        }
    report_result(args, facts)


def infer(case: Case, session: CpuSession, separate: bool, out: Path) -> Result:
    """Run the slide into a folder."""
    model = check_model(case.model, "--model")
    return infer_slide(case.slide, session, model, InferSettings(separate=separate), out=out)


if __name__ == "__main__":
    main()
