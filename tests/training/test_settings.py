"""Settings survive a file, and errors name a setting as it was typed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.distill.settings import DistillationSettings
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_settings, write_settings

UNUSUAL = TrainSettings(
    labels="outlines",
    teacher="runs/a big one",
    distillation=DistillationSettings(temperature=2.5, weight=0.25),
    weights="some folder/weights: of mine #2.pth",
    um_per_px=0.503,
    shares=(0.5, 0.25, 0.25),
    classifier=ClassifierSettings(
        evidence=("classifier", "2*runs/a first round"),
        rule="inside",
        agree=True,
        um_per_px=None,
        output_stride=16,
        attention=("none", "criss-cross", "cca"),
        pooling="mpfp",
        balance=False,
        scales=(1.0, 1.25),
        fit=FitSettings(lr=1e-5, optimizer="sgd", seed=3),
        augment=AugmentSettings(rotation=7.5),
    ),
    segmenter=SegmenterSettings(bins=(1, 4), fit=FitSettings(weight_decay=1e-7)),
)


@pytest.mark.parametrize("settings", [TrainSettings(), UNUSUAL], ids=["default", "unusual"])
def test_settings_survive_a_file(tmp_path: Path, settings: TrainSettings) -> None:
    write_settings(tmp_path / "s.yaml", settings)
    assert read_settings(tmp_path / "s.yaml") == settings


def test_what_a_file_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("segmenter:\n  fit:\n    steps: 7\n", encoding="utf-8")
    read = read_settings(path)
    assert read.segmenter.fit.steps == 7
    assert replace(read, segmenter=TrainSettings().segmenter) == TrainSettings()
    path.write_text("", encoding="utf-8")
    assert read_settings(path) == TrainSettings()


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        ("segmenter.fit.steps=7", lambda s: s.segmenter.fit.steps == 7),
        ("segmenter.fit.lr=1e-3", lambda s: s.segmenter.fit.lr == 0.001),
        ("segmenter.fit.lr=2", lambda s: s.segmenter.fit.lr == 2.0 and isinstance(s.segmenter.fit.lr, float)),
        (
            "classifier.attention=[none, none, cca]",
            lambda s: s.classifier.attention == ("none", "none", "cca"),
        ),
        ("classifier.scales=[1, 1.5]", lambda s: s.classifier.scales == (1.0, 1.5)),
        ("shares=[0.8, 0.2, 0]", lambda s: s.shares == (0.8, 0.2, 0.0)),
        ("classifier.um_per_px=null", lambda s: s.classifier.um_per_px is None),
        ("weights=null", lambda s: s.weights is None),
        ("weights=a/b=c.pth", lambda s: s.weights == "a/b=c.pth"),
        ("classifier.balance=false", lambda s: s.classifier.balance is False),
        ("segmenter.freeze=true", lambda s: s.segmenter.freeze is True and s.classifier.freeze is None),
        ("segmenter.fit.epochs=3", lambda s: (s.segmenter.fit.epochs, s.segmenter.fit.steps) == (3.0, None)),
        (" labels = outlines", lambda s: s.labels == "outlines"),
    ],
)
def test_assignments(assignment: str, found: object) -> None:
    assert callable(found) and found(override_settings(TrainSettings(), [assignment]))


def test_later_assignments_win_and_keep_the_others() -> None:
    settings = override_settings(
        TrainSettings(), ["segmenter.fit.steps=7", "segmenter.crop=96", "segmenter.fit.steps=8"]
    )
    assert (settings.segmenter.fit.steps, settings.segmenter.crop) == (8, 96)


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("segmenter.fit.stepz=7", ("stepz", "steps", "--set segmenter.fit.stepz=7")),
        ("a.b.c=1", ("no setting a", "segmenter")),
        ("segmenter.crop.x=1", ("crop takes int",)),
        ("segmenter=5", ("no setting 5",)),
        ("steps", ("key=value expected",)),
        ("segmenter.fit.steps=many", ("steps takes int", "'many'")),
        ("segmenter.fit.steps=1.5", ("steps takes int", "1.5")),
        ("segmenter.fit.steps=true", ("steps takes int", "True")),
        ("segmenter.fit.steps=null", ("steps or epochs: one of them",)),
        ("classifier.balance=1", ("balance takes bool",)),
        ("classifier.attention=cca", ("attention takes", "'cca'")),
        ("classifier.scales=1", ("scales takes",)),
        ("segmenter.bins=[1, 2.5]", ("bins takes int", "2.5")),
        ("shares=[0.5, 0.5]", ("shares takes",)),
        ("weights=[a, b]", ("weights takes str",)),
        ("weights=[a", ("not YAML",)),
    ],
)
def test_wrong_assignments_are_refused(assignment: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(BadInputError) as caught:
        override_settings(TrainSettings(), [assignment])
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, text


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("labels=masks", "labels: one of patches, outlines, none. Received: masks"),
        ("classifier.output_stride=12", "output_stride: one of 8, 16, 32. Received: 12"),
        ("segmenter.output_stride=4", "output_stride: one of 8, 16, 32. Received: 4"),
        ("um_per_px=0", "um_per_px: above 0. Received: 0.0"),
        ("um_per_px=.nan", "um_per_px: above 0. Received: nan"),
        ("classifier.um_per_px=-1", "um_per_px: above 0. Received: -1.0"),
        ("shares=[0.8, 0, 0.2]", "shares: training and validation above 0"),
        ("shares=[1.2, 0.2, -0.4]", "shares: training and validation above 0"),
        ("segmenter.fit.steps=0", "steps: at least 1. Received: 0"),
        ("segmenter.fit.lr=-1", "lr: at least 0. Received: -1.0"),
        ("segmenter.fit.batch=1", "segmenter.fit.batch: at least 2. Received: 1"),
        ("segmenter.fit.optimizer=adam", "optimizer: one of adamw, sgd. Received: adam"),
        ("segmenter.bins=[]", "bins: one or more of at least 1"),
        ("segmenter.synthetic=1", "synthetic: at least 0 and below 1. Received: 1.0"),
        ("classifier.pooling=max", "pooling: one of gap, mpfp. Received: max"),
        ("classifier.combine=sum", "combine: one of relu, raw. Received: sum"),
        ("classifier.rule=both", "rule: one of veto, inside. Received: both"),
        ("classifier.evidence=[]", "evidence: one or more sources, each once. Received: []"),
        ("classifier.evidence=[probe, 2*probe]", "evidence: one or more sources, each once"),
        ("classifier.evidence=[0*probe]", "evidence: at most 32 values between 0.001 and 1000"),
        ("classifier.ignore=1", "ignore: at most 0.99. Received: 1.0"),
        ("classifier.attention=[none, none, self]", "attention: one of none, criss-cross"),
        ("classifier.attention=[none]", "attention: one of each of three stages. Received: 1"),
        ("classifier.scales=[]", "scales: one or more above 0"),
        ("classifier.stride=0", "stride: at least 1. Received: 0"),
        ("encoder=resnet9", "encoder: one of mobilenetv2, resnet38"),
        ("segmenter.encoder=resnet9", "encoder: one of mobilenetv2, resnet38"),
        ("segmenter={encoder: resnest50, freeze: true}", "freeze: for resnet38. Received: resnest50"),
        ("segmenter.loss=focal", "loss: one of plain, c_max"),
        ("segmenter.fit.accumulate=5", "batch: a multiple of accumulate=5. Received: 12"),
        ("segmenter.fit.accumulate=12", "segmenter.fit.batch: at least 24. Received: 12"),
        ("segmenter.fit.epochs=0", "epochs: above 0 and at most 1000000000. Received: 0.0"),
        ("segmenter.fit.scale_lr=-1", "scale_lr: at least 0. Received: -1.0"),
        ("classifier.fit.new_lr=-1", "new_lr: at least 0. Received: -1.0"),
        ("classifier.fit.decay_steps=0", "decay_steps: at least 1. Received: 0"),
        ("classifier.last_dilation=3", "last_dilation: one of 2, 4. Received: 3"),
        ("classifier.normalize=ebhi", "normalize: one of imagenet, glas, none. Received: ebhi"),
        ("segmenter.stride=0", "stride: at least 1. Received: 0"),
        ("segmenter.scales=[]", "scales: one or more above 0"),
        ("segmenter.scales=[20]", "scales: at most 32 values between 0.1 and 10"),
        ("classifier.fusion=none", "sizes: a single one with fusion=none. Received: [2, 4, 8, 16]"),
        ("distillation.temperature=0", "distillation.temperature: above 0 and at most 1000. Received: 0.0"),
        (
            "distillation.temperature=.inf",
            "distillation.temperature: above 0 and at most 1000. Received: inf",
        ),
        ("distillation.weight=1", "distillation.weight: above 0 and below 1. Received: 1.0"),
        ("distillation.weight=0", "distillation.weight: above 0 and below 1. Received: 0.0"),
        ("classifier.sizes=[4, 2]", "sizes: ascending, each at least 1. Received: [4, 2]"),
    ],
)
def test_what_cannot_be_trained_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        override_settings(TrainSettings(), [assignment])
    assert message in str(caught.value)


def test_the_kinds_named_are_those_that_can_be_built() -> None:
    from glandseg.training import classifier_settings, losses, segmenter_settings
    from glandseg.training.weak import attention as cca
    from glandseg.training.weak import label_rules

    assert set(classifier_settings.ATTENTIONS) == set(cca.ATTENTIONS)
    assert set(segmenter_settings.LOSSES) == set(losses.SCHEMES)
    assert set(classifier_settings.RULES) == set(label_rules.RULES)


def test_epochs_become_steps() -> None:
    fit = FitSettings(steps=None, epochs=2.5, batch=8)
    assert fit.turn_to_steps(33).count_steps() == 11  # 82.5 images, 8 a step
    assert fit.turn_to_steps(1).count_steps() == 1
    assert FitSettings(steps=7).turn_to_steps(1000).count_steps() == 7
    with pytest.raises(ValueError, match="not counted yet"):
        fit.count_steps()


def test_a_stage_takes_the_shared_encoder_and_its_weights_unless_it_names_its_own() -> None:
    settings = override_settings(TrainSettings(), ["weights=w.pth", "segmenter.encoder=resnest50"])
    classifier, segmenter = settings.classifier, settings.segmenter
    assert (settings.choose_encoder(classifier), settings.choose_weights(classifier)) == (
        "mobilenetv2",
        "w.pth",
    )
    assert (settings.choose_encoder(segmenter), settings.choose_weights(segmenter)) == ("resnest50", None)
    own = override_settings(settings, ["segmenter.weights=hub"])
    assert own.choose_weights(own.segmenter) == "hub"


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00", b"- 1\n- 2\n", b"segmenter: 3\n", b"1: 2\n"])
def test_a_wrong_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(BadInputError) as caught:
        read_settings(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"s\.yaml: "):
        read_settings(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("segmenter.dropout=2", "segmenter.dropout: at most 0.99. Received: 2.0"),
        ("segmenter.dropout=-0.1", "segmenter.dropout: at least 0. Received: -0.1"),
        ("segmenter.fit.momentum=5", "segmenter.fit.momentum: at most 0.9999. Received: 5.0"),
        ("classifier.fit.lr=.nan", "classifier.fit.lr: at least 0. Received: nan"),
        ("classifier.fit.lr=1e999", "classifier.fit.lr: at most 100. Received: inf"),
        ("segmenter.fit.weight_decay=2", "segmenter.fit.weight_decay: at most 1. Received: 2.0"),
        ("segmenter.fit.seed=4294967296", "segmenter.fit.seed: at most 4294967295"),
        ("split_seed=-1", "split_seed: at least 0. Received: -1"),
        ("shares=[9, 1, 1]", "shares: three that sum to 1. Received: [9.0, 1.0, 1.0]"),
        ("shares=[.nan, 0.2, 0.1]", "shares: "),
        ("shares=9", "shares takes tuple. Received: 9"),
        ("classifier.present=1.5", "classifier.present: at most 1. Received: 1.5"),
        ("classifier.background=-1", "classifier.background: at least 0. Received: -1.0"),
        ("classifier.scales=[1, 1000]", "classifier.scales: at most 32 values between 0.1 and 10"),
        ("classifier.sizes=[1, 100000]", "classifier.sizes: at most 32 values between 1 and 256"),
        ("segmenter.bins=[2, 100000]", "segmenter.bins: at most 32 values between 1 and 256"),
        ("segmenter.width=1000000", "segmenter.width: at most 10000. Received: 1000000"),
        ("segmenter.crop=1000000", "segmenter.crop: at most 10000. Received: 1000000"),
        ("classifier.input=100000", "classifier.input: at most 10000. Received: 100000"),
        ("segmenter.auxiliary=.inf", "segmenter.auxiliary: at most 100. Received: inf"),
        ("segmenter.augment.scale_min=0", "segmenter.augment.scale_min: at least 0.05. Received: 0.0"),
        ("segmenter.augment.scale_max=0.1", "segmenter.augment.scale_max: at least scale_min=0.6"),
        ("segmenter.augment.mosaic=3", "segmenter.augment.mosaic: at most 1. Received: 3.0"),
        ("segmenter.augment.blur=.inf", "segmenter.augment.blur: at most 100. Received: inf"),
        ("segmenter.fit.steps=.inf", "segmenter.fit.steps takes int. Received: inf"),
        ("segmenter.fit.steps=-.inf", "segmenter.fit.steps takes int. Received: -inf"),
        ("segmenter.core_um=0", "segmenter.core_um: at least 0.5. Received: 0.0"),
        ("segmenter.core_um=26", "segmenter.core_um: at most 25. Received: 26.0"),
        ("segmenter.core_um=.nan", "segmenter.core_um: at least 0.5. Received: nan"),
        ("segmenter.skip=2", "segmenter.skip: one of None, 4, 8. Received: 2"),
        ("distillation.temperature=1e9", "distillation.temperature: above 0 and at most 1000"),
        (f"segmenter.fit.steps={'9' * 5000}", "value is not YAML"),
        (f"segmenter.fit.lr={'[' * 5000}", "value is not YAML"),
        (f"{'a.' * 3000}b=1", "nested too deeply. Use a key"),
        (f"weights={'a' * 5000}", "weights takes str of at most 4000 characters"),
        (f"{'x' * 5000}=3", "no setting xxx"),
        ("weights=null", ""),
    ],
)
def test_every_number_has_bounds_and_every_refusal_is_short(assignment: str, message: str) -> None:
    if not message:
        override_settings(TrainSettings(), [assignment])
        return
    with pytest.raises(BadInputError) as caught:
        override_settings(TrainSettings(), [assignment])
    text = str(caught.value)
    assert message in text and len(text) < 700 and text.startswith(f"--set {assignment[:20]}")


def test_a_skip_is_finer_than_the_last_stage() -> None:
    assert override_settings(TrainSettings(), ["segmenter.skip=8"]).segmenter.skip == 8
    with pytest.raises(BadInputError, match=r"segmenter.skip: below output_stride=8. Received: 8"):
        override_settings(TrainSettings(), ["segmenter={skip: 8, output_stride: 8}"])


def test_a_run_of_a_version_without_cores_has_none(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("segmenter: {width: 128, output_stride: 16}", encoding="utf-8")
    stage = read_settings(tmp_path / "s.yaml").segmenter
    assert (stage.core_um, stage.skip, stage.border_weight) == (None, None, 0.0)


def test_no_number_is_without_bounds() -> None:
    def list_numbers(settings: object, prefix: str = "") -> list[str]:
        found = []
        for name, value in vars(settings).items():
            if hasattr(value, "__dataclass_fields__"):
                found += list_numbers(value, f"{prefix}{name}.")
            elif isinstance(value, int | float) and not isinstance(value, bool):
                found.append(prefix + name)
        return found

    numbers = list_numbers(TrainSettings())
    assert len(numbers) > 40
    for name in numbers:
        for value in ("-1e30", "1e30", ".nan"):
            with pytest.raises(BadInputError, match=name.rpartition(".")[2]):
                override_settings(TrainSettings(), [f"{name}={value}"])


def test_nested_aliases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    rows = [
        "a: &a [1, 1]",
        *(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
            for old, new in zip("abcdef", "bcdefg", strict=True)
        ),
    ]
    path.write_text("\n".join([*rows, "segmenter: {fit: {lr: *g}}"]))
    with pytest.raises(BadInputError, match="more than 20 aliases"):
        read_settings(path)
    path.write_text("classifier: {fit: &fit {lr: 0.25}}\nsegmenter: {fit: *fit}\n")
    assert read_settings(path).segmenter.fit.lr == 0.25


@pytest.mark.parametrize(
    "content", ["[" * 5000, "a: " * 3000, "steps: " + "9" * 5000, "&a [*a]", "x: &a {y: *a}"]
)
def test_a_file_that_is_hard_to_read_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(BadInputError) as caught:
        read_settings(tmp_path / "s.yaml")
    assert len(str(caught.value)) < 700 and "\n" not in str(caught.value)


def test_sources_of_evidence_have_weights() -> None:
    settings = ClassifierSettings(evidence=("bundled", "0.3*probe", "2 * runs/x*y", "runs/a*b"))
    assert settings.weigh_sources() == {"bundled": 1.0, "probe": 0.3, "runs/x*y": 2.0, "runs/a*b": 1.0}


def test_only_stages_with_an_encoder_are_listed() -> None:
    both, bundled = TrainSettings(), TrainSettings(classifier=ClassifierSettings(evidence=("bundled",)))
    assert list(both.list_stages()) == ["classifier", "segmenter"]
    assert (
        list(bundled.list_stages()) == list(replace(both, labels="outlines").list_stages()) == ["segmenter"]
    )
