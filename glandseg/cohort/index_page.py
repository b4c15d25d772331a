"""The page of a cohort: its slides in a table, each with a link to its report; opens in any browser."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from glandseg import RESEARCH_USE
from glandseg.cohort.summary_row import SummaryRow

_HEADER = (
    "Slide",
    "State",
    "Glands",
    "Glands, mm2",
    "Tissue, mm2",
    "Gland share",
    "Unread",
    "Seconds",
    "Notes",
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>glandseg: {title}</title>
<link rel="icon" href="data:,">
<style>
body {{ margin: 1.2rem; color: #1b1b1f; font: 15px/1.45 system-ui, "Segoe UI", sans-serif; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.2rem 0.6rem; border-bottom: 1px solid #b9bcc4; text-align: right; vertical-align: top; }}
th:first-child, td:first-child, th:last-child, td:last-child {{ text-align: left; overflow-wrap: anywhere; }}
.failed td {{ background: #fdecea; }}
@media print {{ @page {{ size: A4 landscape; }} body {{ font-size: 8pt; }} }}
</style>
</head>
<body>
<main>
<h1>Glands of a cohort</h1>
<p>{title}. <strong>{use}</strong></p>
<table>
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


def write_index_page(path: Path, rows: Sequence[SummaryRow], title: str) -> None:
    """Write the page: HTML without script, which loads nothing.

    Args:
        path: File to write.
        rows: Slides of the cohort.
        title: What became of them, in a line.
    """
    header = "".join(f'<th scope="col">{name}</th>' for name in _HEADER)
    page = _PAGE.format(
        title=escape(title), use=escape(RESEARCH_USE), header=header, rows="\n".join(map(_make_row, rows))
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def _make_row(row: SummaryRow) -> str:
    name = escape(row.slide)
    if row.report:
        name = f'<a href="{quote(row.report, errors="surrogateescape")}">{name}</a>'
    shares = ["" if share is None else f"{share:.1%}" for share in (row.gland_share, row.unread_share)]
    areas = ["" if area is None else f"{area:.3f}" for area in (row.gland_mm2, row.tissue_mm2)]
    notes = "<br>".join(escape(note) for note in (row.reason, *row.warnings) if note)
    glands = "" if row.glands is None else f"{row.glands:,}"
    cells = [name, row.state, glands, *areas, *shares, f"{row.seconds:.0f}" if row.seconds else "", notes]
    return f'<tr class="{row.state}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
