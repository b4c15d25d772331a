"""What DICOM outputs say of the slide that they belong to, and of what made them."""

from __future__ import annotations

import uuid
from typing import Any

import glandseg
from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.slides.slide_files import list_slide_files

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:glandseg:dicom")
# Attributes that the standard wants, if empty, and scanners leave out.
_MAY_LACK = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
)


def find_base(found: SlideGlands) -> Any:
    """Read the header of the largest image of a slide's series, as a pydicom dataset.

    Raises:
        BadInputError: There is none.
    """
    import pydicom

    headers = [pydicom.dcmread(each, stop_before_pixels=True) for each in list_slide_files(found.slide_path)]
    volumes = [each for each in headers if "VOLUME" in each.get("ImageType", ())]
    if not volumes:
        raise BadInputError(
            f"{found.slide_path}: its series has no image of type VOLUME to annotate. "
            "Leave dicom out of --write."
        )
    base = max(volumes, key=lambda each: int(each.TotalPixelMatrixColumns))
    for name in _MAY_LACK:
        if name not in base:
            setattr(base, name, "")
    return base


def identify_model(found: SlideGlands) -> Any:
    """Return the identification of the algorithm: glandseg, its version and its model."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    return AlgorithmIdentificationSequence(
        name="glandseg",
        family=codes.DCM.ArtificialIntelligence,
        version=glandseg.__version__,
        source=found.model_sha256[:16],
    )


def name_gland() -> Any:
    """Return the code of a gland, of glandseg's own scheme."""
    from highdicom.sr import CodedConcept

    return CodedConcept("gland", "99GLANDSEG", "Gland")


def describe_instance(found: SlideGlands, kind: str) -> dict[str, Any]:
    """Return what every instance says of itself: UIDs, device and content.

    Args:
        found: Glands of the slide.
        kind: Kind of the instance, which its UIDs depend on.
    """
    return {
        "series_instance_uid": make_uid(found, f"{kind} series"),
        "sop_instance_uid": make_uid(found, f"{kind} instance"),
        "instance_number": 1,
        "manufacturer": "glandseg",
        "manufacturer_model_name": "glandseg",
        "software_versions": glandseg.__version__,
        "device_serial_number": found.model_sha256[:16],
        "content_description": "Glands found by glandseg",
        "content_label": "GLANDS",
    }


def make_uid(found: SlideGlands, role: str) -> str:
    """Return the UID of a part of the file, the same for the same slide, model and glands (PS3.5, B.2)."""
    glands = f"{len(found.glands)}/{found.area_mm2!r}"
    name = f"{found.slide_sha256}/{found.model_sha256}/{glands}/{role}"
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"
