"""How large outputs are, how long they take and how much memory, by the number of glands.

Synthetic glands lie on disk as those of a slide do; each output is written alone, by a process of its own,
whose peak of memory is reported. "read" only reads and measures the glands, which every output needs.

    python -m benchmarks.output_sizes --glands 1000 100000 --json benchmarks/results/output-sizes.json
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.many_glands import ManyGlands, lay_glands
from benchmarks.measured_on import describe_circumstances
from glandseg.runtime.glands.store import GlandStore
from glandseg.runtime.outputs.write import WRITERS, OutputPaths, write_outputs

READ = "read"
OUTLINES = (READ, "geojson", "geojson.gz", "csv", "parquet", "dicom")


def main() -> None:
    """Write each output of each number of glands, and print and write a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--glands", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--outputs", nargs="+", default=OUTLINES, choices=(READ, *WRITERS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("OUTPUT", "GLANDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], int(args.one[1]))))
        return
    rows = []
    for count in args.glands:
        for name in args.outputs:
            command = [sys.executable, "-m", "benchmarks.output_sizes", "--one", name, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    if args.json:
        text = json.dumps({"rows": rows, **describe_circumstances()}, indent=1) + "\n"
        args.json.write_text(text, encoding="utf-8")


def measure(name: str, count: int) -> dict[str, Any]:
    """Write one output, and return its bytes, the process's CPU seconds for it and its peak of memory."""
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "slide.dcm"
        write_header(slide)
        store = GlandStore(Path(folder) / "glands")
        for gland in ManyGlands(count):
            left, top, _, _ = map(int, gland.polygon_px.bounds)
            store.add((top, left), (top, left), gland.polygon_px, (0.9, 0.1))
        found = lay_glands(slide, store.finish())
        before, began = peak_mib(), time.process_time()
        size = 0
        if name == READ:
            for gland in found.glands:
                found.measure(gland)
        else:
            paths = OutputPaths(Path(folder), "out", (name,))
            write_outputs(found, paths)
            written = paths[WRITERS[name].suffix]
            files = written.rglob("*") if written.is_dir() else [written]
            size = sum(each.stat().st_size for each in files if each.is_file())
        cpu_s = time.process_time() - began
        store.close()
    return {
        "glands": count,
        "output": name,
        "mb": round(size / 1e6, 2),
        "cpu_s": round(cpu_s, 2),
        "peak_mib": round(peak_mib()),
        "of_which_before_mib": round(before),
    }


def write_header(path: Path) -> None:
    """Write the header of a DICOM slide, which annotations refer to."""
    import pydicom

    header = pydicom.Dataset()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.3.1"
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = (
        "1.2.3.2",
        "1.2.3.3",
        "1.2.3.4",
    )
    header.Modality, header.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    header.TotalPixelMatrixColumns = header.TotalPixelMatrixRows = 200_000
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)


def peak_mib() -> float:
    """Return the process's peak of memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
