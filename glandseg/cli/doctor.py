"""`glandseg doctor`: what works on this machine, what does not, and how to fix it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg import __version__
from glandseg.cli.console import pluralise, print_json, say, say_lines
from glandseg.cli.options import AsJson
from glandseg.core.errors import EnvironmentLacksError
from glandseg.model.device import DEVICES

if TYPE_CHECKING:
    from glandseg.doctor.finding import Finding

LEVEL_WIDTH, TOPIC_WIDTH = 9, 14
OFFLINE = "offline"  # topic of the offline test


def doctor(
    device: Annotated[
        str, typer.Option(help="Device that must work: auto, cpu, cuda, trt, cuda:1.")
    ] = "auto",
    offline: Annotated[
        bool, typer.Option("--offline", help="Prove that glandseg works without a network.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check this machine: libraries, GPU, models, speed; each problem with its cure.

    Exits with 3 if the device does not work, or --offline fails. The output names neither user nor host.
    """
    from glandseg.doctor.devices import name_needed
    from glandseg.doctor.examine import examine

    needed, findings = name_needed(device), []
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for finding in examine(device, offline=offline):
        findings.append(finding)
        if not as_json:
            say_lines(lay_out(finding, width))
    if as_json:
        print_json({"glandseg": __version__, "findings": [asdict(finding) for finding in findings]})
    else:
        say(summarise(findings, needed))
    if any(one.level == "problem" and one.topic in (needed, OFFLINE) for one in findings):
        raise typer.Exit(EnvironmentLacksError.exit_code)


def lay_out(finding: Finding, width: int | None) -> str:
    """Write a finding in columns, wrapped to the width of a terminal; on one line where that is None."""
    text = f"{finding.text}. {finding.cure}" if finding.cure else finding.text
    first = f"{finding.level:<{LEVEL_WIDTH}}{finding.topic:<{TOPIC_WIDTH}}"
    if width is None or width < 2 * len(first):
        return first + text
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def summarise(findings: list[Finding], needed: str) -> str:
    """Count problems and notes, and report the devices that run, or that the needed one does not."""
    counts = {level: sum(one.level == level for one in findings) for level in ("problem", "note")}
    words = ", ".join(pluralise(number, level) for level, number in counts.items())
    running = [one.topic for one in findings if one.topic.partition(":")[0] in DEVICES and one.level == "ok"]
    verb = "runs" if len(running) == 1 else "run"
    verdict = f"{', '.join(running)} {verb}" if needed in running else f"{needed} does not run"
    return f"glandseg {__version__}: {words}; {verdict}"
