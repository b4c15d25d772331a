"""Interleaved learning against a loop over members and pixels, and the network that averages them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from glandseg.core.errors import BadInputError
from glandseg.training.factory import build_segmenter
from glandseg.training.interleaved_loss import (
    AGREEING,
    DISAGREEING,
    DISTILLATION,
    TEMPERATURE,
    distill,
    interleaved_loss,
    weigh_by_agreement,
)
from glandseg.training.loop.sampling import Batch
from glandseg.training.networks.interleaved import Interleaved
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import TorchBackend

STAGE = SegmenterSettings(width=8, members=3, dropout=0.0)


def build() -> Interleaved:
    torch.manual_seed(0)
    network = build_segmenter(TrainSettings(segmenter=STAGE))
    assert isinstance(network, Interleaved)
    return network.eval()


def draw_batch() -> Batch:
    torch.manual_seed(1)
    labels = torch.randint(0, 2, (2, 32, 32))
    labels[:, :4] = 255
    return Batch(images=torch.rand(2, 3, 32, 32), labels=labels)


def test_pixels_count_by_whether_the_judges_agree() -> None:
    one = torch.tensor([[[[2.0, 0.0]], [[1.0, 1.0]]]])  # non-gland, gland
    other = torch.tensor([[[[3.0, 1.0]], [[0.0, 0.0]]]])  # non-gland, non-gland
    assert weigh_by_agreement([one, other]).tolist() == [[[AGREEING, DISAGREEING]]]


def test_distillation_is_the_divergence_at_the_temperature() -> None:
    student, teacher = torch.tensor([9.0, -3.0]), torch.tensor([-6.0, 12.0])
    p = (teacher / TEMPERATURE).softmax(0)
    q = (student / TEMPERATURE).softmax(0)
    expected = TEMPERATURE**2 * sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True))
    logits, wanted = (each.view(1, 2, 1, 1).repeat(1, 1, 1, 2) for each in (student, teacher))
    valid = torch.tensor([[[True, False]]])
    assert distill(logits, wanted, valid).item() == pytest.approx(expected, rel=1e-4)
    assert distill(logits, logits, valid).item() == pytest.approx(0, abs=1e-4)
    assert distill(logits, wanted, ~valid & valid).item() == 0


def compute_slowly(network: Interleaved, batch: Batch) -> Tensor:
    total = torch.zeros(())
    heads = network.forward_members(batch.images)
    for index in range(3):
        first, second = (heads[place][0].detach() for place in range(3) if place != index)
        main, other = heads[index]
        valid, labels = batch.labels != 255, batch.labels.clamp(max=1)
        agree = first.argmax(1) == second.argmax(1)
        for factor, logits, trust in (
            (1.0, main, torch.where(agree, AGREEING, DISAGREEING)),
            (STAGE.auxiliary, other, torch.ones_like(valid).float()),
        ):
            own = -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
            total = total + factor * (own * trust)[valid].sum() / valid.sum()
        total = total + DISTILLATION * distill(main, (first + second) / 2, valid)
    return total


def test_the_loss_is_the_sum_over_members() -> None:
    network, batch = build(), draw_batch()
    torch.testing.assert_close(interleaved_loss(network, batch, STAGE), compute_slowly(network, batch))


def test_members_differ_and_their_mean_is_the_answer() -> None:
    network, images = build(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        each = [member(images) for member in network.members]
        torch.testing.assert_close(network(images), (each[0] + each[1] + each[2]) / 3)
    assert not torch.allclose(each[0], each[1]) and not torch.allclose(each[1], each[2])
    assert len(network.list_encoders()) == 3
    probabilities = TorchBackend(network).infer((255 * images).byte().permute(0, 2, 3, 1).numpy())
    assert probabilities.shape == (1, 2, 32, 32)


def test_three_members_need_labels_of_their_own() -> None:
    with pytest.raises(BadInputError, match="members: one of 1, 3. Received: 2"):
        replace(STAGE, members=2)
    for other in ({"start_from": "bundled"}, {"teacher": "runs/a", "labels": "none"}):
        with pytest.raises(BadInputError, match="members: 1 with a teacher or start_from"):
            TrainSettings(segmenter=STAGE, **other)  # type: ignore[arg-type]
