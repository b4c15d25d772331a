"""The header of a DICOM slide's image, as scanners write it without a patient; and dciodvfy's errors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def make_header(**changes: Any) -> Any:
    """Make the header of an image of 500 x 400 px of 0.25 um."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    measures, shared, header = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [0.00025, 0.00025]
    shared.PixelMeasuresSequence = [measures]
    facts = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6",
        "SOPInstanceUID": "1.2.3.1",
        "StudyInstanceUID": "1.2.3.2",
        "SeriesInstanceUID": "1.2.3.3",
        "FrameOfReferenceUID": "1.2.3.4",
        "Modality": "SM",
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "Rows": 100,
        "Columns": 100,
        "NumberOfFrames": 20,
        "TotalPixelMatrixColumns": 500,
        "TotalPixelMatrixRows": 400,
        "DimensionOrganizationType": "TILED_FULL",
        "ImageOrientationSlide": [0, -1, 0, -1, 0, 0],
        "SharedFunctionalGroupsSequence": [shared],
        **changes,
    }
    for name, value in facts.items():
        setattr(header, name, value)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header


def list_errors(path: Path) -> list[str]:
    """Return the errors that dciodvfy of dicom3tools finds by the standard."""
    program = shutil.which("dciodvfy")
    if not program:
        pytest.skip("needs dciodvfy (Debian's dicom3tools)")
    done = subprocess.run([program, "-new", str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
