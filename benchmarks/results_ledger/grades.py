"""The images of each grade or class of a data set: GlaS's grades, EBHI-Seg's classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from glandseg.training.data.patients import match_stem
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.table import has_column, read_column

GLAS_GRADE = "grade (GlaS)"
MALIGNANT = ("high", "adenocarcinoma")  # prefixes of EBHI-Seg's classes


def group_by_grade(
    folder: Path, data_set: DataSet, samples: Iterable[Sample]
) -> dict[str, tuple[Sample, ...]]:
    """Return samples by grade or class; empty for data without grades.

    EBHI-Seg's six classes are also pooled into benign and malignant, to which high grade counts.

    Args:
        folder: Folder of the data set.
        data_set: The data set.
        samples: Those of its samples that are grouped.
    """
    grades = find_grades(folder, data_set)
    groups: dict[str, tuple[Sample, ...]] = defaultdict(tuple)
    for sample in samples:
        if grade := grades.get(sample.name):
            groups[grade] += (sample,)
            if data_set.kind == "ebhi":
                pooled = "malignant" if grade.lower().startswith(MALIGNANT) else "benign"
                groups[pooled] += (sample,)
    return dict(sorted(groups.items()))


def find_grades(folder: Path, data_set: DataSet) -> dict[str, str]:
    """Return the grade or class of each sample, by name, where it is known."""
    names = {sample.name for sample in data_set.samples}
    tables = {"glas": (folder / "Grade.csv", GLAS_GRADE), "ebhi": (folder / "index.csv", "class")}
    if data_set.kind not in tables:
        return {}
    table, column = tables[data_set.kind]
    if not has_column(table, column):  # of EBHI-Seg as published, the names say it: CLASS/NAME
        return {name: name.partition("/")[0] for name in names if "/" in name}
    grades = read_column(table, "name", column)
    return {stem: grade for name, grade in grades.items() if (stem := match_stem(name, names))}
