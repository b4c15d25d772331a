"""The model card of a run, from its record, its settings and facts that the user adds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError
from glandseg.model.card import CLASSES_WITH_CORE, CardError, ModelCard, read_card
from glandseg.model.separation import separate_by_cores
from glandseg.training.networks.table import DECODERS
from glandseg.training.run import Run
from glandseg.training.settings import TrainSettings

# Fields that users may set; the others follow from the graph.
FACTS = (
    *("name", "network", "tissue", "stain", "um_per_px", "scales", "separation"),
    *("training", "scores", "licence"),
)


def describe_model(
    run: Run, name: str, weights_sha256: str, facts: Mapping[str, Any] | None = None
) -> ModelCard:
    """Build the model card of a run.

    Args:
        run: Finished run.
        name: Name of the model.
        weights_sha256: Hash of the weights file of the run.
        facts: Fields of the card, among `FACTS`, that replace those of the run.

    Raises:
        BadInputError: A fact is unknown or cannot be stored in a card.
    """
    facts = facts or {}
    if unknown := sorted(set(facts) - set(FACTS)):
        raise BadInputError(f"card: {', '.join(unknown)} cannot be set. Use only: {', '.join(FACTS)}.")
    values = {"name": name, **_describe_run(run), **facts, "weights_sha256": weights_sha256}
    um_per_px = values["um_per_px"]
    if not isinstance(um_per_px, (int, float)) or not um_per_px > 0:
        raise BadInputError(f"card: um_per_px must be a number above 0. Received: {um_per_px}")
    try:
        return read_card(ModelCard(**values).to_metadata())  # read back: lists become tuples
    except (CardError, TypeError, ValueError) as error:
        raise BadInputError(f"card: cannot be written ({error}). Use text, numbers and lists.") from None


def _describe_run(run: Run) -> dict[str, Any]:
    settings, record = run.settings, run.record
    return {
        "network": f"{_describe_network(settings)}, {_describe_training(settings, record)}",
        "tissue": "not stated",
        "um_per_px": record.get("um_per_px"),
        **_describe_core(settings.segmenter.core_um),
        "training": _list_training(settings, record),
        "scores": record.get("scores"),
        "licence": "not stated",
    }


def _describe_core(core_um: float | None) -> dict[str, Any]:
    """Return the channels, and the rule of separation that follows from a core channel."""
    if core_um is None:
        return {}
    return {"classes": CLASSES_WITH_CORE, "separation": separate_by_cores(core_um)}


def _describe_network(settings: TrainSettings) -> str:
    head = settings.segmenter
    bins = ", ".join(map(str, head.bins))
    skip = f", skip at stride {head.skip}" if head.skip else ""
    core = f", cores {head.core_um:g} um inside borders" if head.core_um else ""
    return (
        f"{DECODERS[head.decoder].title} on {settings.choose_encoder(head)} "
        f"at output stride {head.output_stride}, bins {bins}, head {head.width} wide{skip}{core}"
    )


def _describe_training(settings: TrainSettings, record: Mapping[str, Any]) -> str:
    teacher = record.get("teacher")
    if teacher is None:
        return f"learned from {settings.labels}"
    also = f" and learned from {settings.labels}" if settings.labels != "none" else ""
    return f"distilled from {_name_teacher(teacher)}{also}"


def _name_teacher(teacher: Mapping[str, Any]) -> str:
    return f"{teacher['name']} (sha256 {teacher['sha256']})"


def _list_training(settings: TrainSettings, record: Mapping[str, Any]) -> list[dict[str, str]]:
    sources: list[dict[str, str]] = [{"name": str(record["data"])}] if "data" in record else []
    if teacher := record.get("teacher"):
        sources.append({"name": f"distilled from {_name_teacher(teacher)}"})
        sources += [source for source in teacher["training"] if source not in sources]
    for model in (each for each in record.get("evidence", ()) if "sha256" in each):
        sources.append({"name": f"pseudo masks with {_name_teacher(model)}"})
        sources += [source for source in model["training"] if source not in sources]
    if weights := settings.choose_weights(settings.segmenter):
        sources.append({"name": f"pretrained encoder {Path(weights).name}"})
    return [{"licence": "not stated"} | source for source in sources]
