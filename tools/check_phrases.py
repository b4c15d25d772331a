"""Find phrases that the field does not use, with what to write instead; codespell finds single words."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = ("README.md", "CHANGELOG.md", "docs/*.md", "glandseg/**/*.py", "benchmarks/**/*.py", "tools/*.py")
PHRASES = {
    r'"""Gives? ': "begin with an imperative verb of the field: Return, Compute, Read",
    r"\blet go of\b": "close, release",
    r"\b[Nn]one takes\b": "None means",
    r"\bby chance\b": "at random",
    r"\bsorts? of\b": "kind of",
    r"\bso many\b": "N",
    r"\bis told (the|how|what|when|a line|which)\b": "called with",
}


def main() -> int:
    """Print each place that holds such a phrase; return 1 where there is one."""
    found = 0
    for path in sorted(path for place in PLACES for path in ROOT.glob(place) if path != Path(__file__)):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for phrase, cure in PHRASES.items():
                if match := re.search(phrase, line):
                    print(f"{path.relative_to(ROOT)}:{number}: {match[0].strip()!r}; {cure}")
                    found += 1
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
