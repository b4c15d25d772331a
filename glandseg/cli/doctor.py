"""`glandseg doctor`: what of this machine is fine, what is not, and what to do about it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg import __version__
from glandseg.core.errors import EnvironmentLacksError

if TYPE_CHECKING:
    from glandseg.doctor.finding import Finding

LEVEL_WIDTH, TOPIC_WIDTH = 9, 14
OFFLINE = "offline"  # topic of the proof that nothing needs the network


def doctor(
    device: Annotated[str, typer.Option(help="Device that must run: auto, cpu, cuda, trt, cuda:1.")] = "auto",
    offline: Annotated[
        bool, typer.Option("--offline", help="Prove that nothing needs the network: run without one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at this machine: libraries, GPU, models, speed; each finding with its cure.

    Exits with 3 if the device does not run, or --offline fails. Nothing it prints names a user or a host.
    """
    from glandseg.doctor.devices import name_needed
    from glandseg.doctor.examine import examine

    needed = name_needed(device)
    findings = list(tell_each(examine(device, offline=offline), silent=as_json))
    failed = [one for one in findings if one.level == "problem" and one.topic in (needed, OFFLINE)]
    if as_json:
        print_json(findings)
    else:
        typer.echo(summarise(findings, needed))
    if failed:
        raise typer.Exit(EnvironmentLacksError.exit_code)


def tell_each(findings: Iterator[Finding], silent: bool) -> Iterator[Finding]:
    """Print each finding as it comes, unless silent, and hand it on."""
    for finding in findings:
        if not silent:
            typer.echo(lay_out(finding, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
        yield finding


def lay_out(finding: Finding, width: int | None) -> str:
    """Write a finding in columns, wrapped below its text to a terminal's width; without one, on one line."""
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
    """Count what was found, and say whether the device runs."""
    counts = {level: sum(one.level == level for one in findings) for level in ("problem", "note")}
    words = ", ".join(f"{count} {level}{'s' * (count != 1)}" for level, count in counts.items())
    runs = any(one.topic == needed and one.level == "ok" for one in findings)
    return f"glandseg {__version__}: {words}; {needed} {'runs' if runs else 'does not run'}"


def print_json(findings: list[Finding]) -> None:
    """Print all findings as one JSON object."""
    import json
    from dataclasses import asdict

    facts = {"glandseg": __version__, "findings": [asdict(finding) for finding in findings]}
    typer.echo(json.dumps(facts, indent=1))
