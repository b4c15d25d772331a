"""Write `docs/results.md`, the papers' tables beside ours, from `results/*.json` and `results/tables.yaml`.

python benchmarks/results_page.py
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.results_ledger.definitions import read_definitions
from benchmarks.results_ledger.page import build_page
from benchmarks.results_ledger.reading import read_results
from benchmarks.results_ledger.result import FOLDER, ROOT
from glandseg.core.errors import GlandsegError

PAGE = ROOT / "docs" / "results.md"


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    try:
        page = build_page(read_definitions(), read_results(FOLDER))
    except GlandsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    options.out.write_text(page, encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
