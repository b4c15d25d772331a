"""`glandseg check`: outputs read back by the rules of their readers."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import pluralise, print_json, say, warn
from glandseg.cli.options import AsJson

MAX_SHOWN = 20  # faults of a file
FAULTY = 1  # exit code


def check(
    files: Annotated[
        list[Path],
        typer.Argument(help="Outputs: GeoJSON, CSV, TIFF, GeoParquet, DICOM, OME-Zarr; of any program."),
    ],
    as_json: AsJson = False,
) -> None:
    """Read outputs back by the rules of their readers, QuPath among them; say what is wrong, and where.

    The exit code is 1 if a file has a fault.
    """
    from glandseg.runtime.checks.check_output import check_output, has_rules

    checked = [path for path in files if has_rules(path)]
    found = {path: list(islice(check_output(path), MAX_SHOWN + 1)) for path in checked}
    if as_json:
        print_json({str(path): [vars(fault) for fault in faults] for path, faults in found.items()})
    else:
        for path in files:
            if not has_rules(path):
                say(f"{path}: not checked, it is for looking at or for glandseg itself")
        for path, faults in found.items():
            if not faults:
                say(f"{path}: no fault")
            for fault in faults[:MAX_SHOWN]:
                warn(f"{path}: {fault}")
            if len(faults) > MAX_SHOWN:
                warn(f"{path}: more than {MAX_SHOWN} faults; the rest is not shown")
    faulty = sum(bool(faults) for faults in found.values())
    if faulty:
        warn(f"{pluralise(faulty, 'file')} of {len(checked)} with faults")
        raise typer.Exit(FAULTY)
