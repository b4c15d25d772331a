"""Seeded damage to JSON, YAML and tables: values of another kind, far out of range, too deep or hostile."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.fuzz.mutate import MUTATIONS

DEEP = 5000
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    10**400,
    "",
    "x" * 5000,
    "\x1b[31mred\x1b]0;title\x07",
    "line\nerror: not ours",
    "\ud800",
    [],
    {},
    [[]],
    [1, "two", None],
    "../../etc/passwd",
    "=1+1",
    ".inf",
    "nan",
)


def mutate_json(value: Any, random: np.random.Generator) -> str:
    """Return the JSON of a value of which one part, anywhere in it, was replaced, dropped or doubled."""
    copy = json.loads(json.dumps(value))
    places = list(_list_places(copy))
    parent, key = places[random.integers(len(places))]
    kind = random.integers(len(HOSTILE) + 3)
    if kind < len(HOSTILE):
        parent[key] = HOSTILE[kind]
    elif kind == len(HOSTILE):
        del parent[key]
    elif kind == len(HOSTILE) + 1:
        parent[key] = "DEEP"
    else:
        parent[key] = [parent[key]] * 2
    return json.dumps(copy).replace('"DEEP"', "[" * DEEP + "]" * DEEP)


def mutate_table(text: str, random: np.random.Generator) -> str:
    """Return a CSV of which one cell was replaced, or one separator, or a line was doubled or torn."""
    lines = text.splitlines()
    line = int(random.integers(len(lines)))
    cells = lines[line].split(",")
    kind = random.integers(4)
    if kind == 0:
        cells[random.integers(len(cells))] = str(HOSTILE[random.integers(len(HOSTILE))])
        lines[line] = ",".join(cells)
    elif kind == 1:
        lines[line] = ";".join(cells)
    elif kind == 2:
        lines.append(lines[line])
    else:
        lines[line] = lines[line][: random.integers(len(lines[line]) + 1)]
    return "\n".join(lines) + "\n"


def damage_text(text: str, random: np.random.Generator) -> bytes:
    """Return the bytes of a text after damage that knows nothing of its form."""
    return MUTATIONS[random.integers(len(MUTATIONS))](text.encode("utf-8", "surrogatepass"), random)


def _list_places(value: Any) -> list[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    places = [(value, key) for key in keys]
    return places + [place for _, key in places for place in _list_places(value[key])]
