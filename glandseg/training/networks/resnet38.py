"""ResNet38, "Wider or Deeper" (Wu et al. 2019), as weakly supervised segmentation uses it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from glandseg.training.networks.encoder import Encoder

# Stages of plain blocks: name, blocks, input, middle and output channels, stride and dilation at output
# stride 8.
STAGES = (
    ("b2", 3, 64, 128, 128, 2, 1),
    ("b3", 3, 128, 256, 256, 2, 1),
    ("b4", 6, 256, 512, 512, 2, 1),
    ("b5", 3, 512, 512, 1024, 1, 2),
)
# Blocks whose activated input is the output of the stage before.
AFTER_A_STAGE = ("b3", "b4", "b5", "b6")


class PreActivated(nn.Module):
    """A residual block that starts with batch norm and ReLU, whose output the encoder may return."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.bn_branch2a = nn.BatchNorm2d(inputs)

    def activate(self, x: Tensor) -> Tensor:
        """Normalise and rectify the block's input."""
        return F.relu(self.bn_branch2a(x), inplace=True)

    def transform(self, x: Tensor, activated: Tensor) -> Tensor:
        """Map (N, inputs, H, W) and its activation to (N, outputs, H / stride, W / stride), not activated."""
        raise NotImplementedError


class PlainBlock(PreActivated):
    """Two 3x3 convolutions, the first with `first_dilation`."""

    def __init__(self, inputs: int, middle: int, outputs: int, *, stride: int = 1, first_dilation: int = 1,
                 dilation: int = 1) -> None:  # fmt: skip
        super().__init__(inputs)
        self.conv_branch2a = nn.Conv2d(inputs, middle, 3, stride, first_dilation, first_dilation, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(middle)
        self.conv_branch2b1 = nn.Conv2d(middle, outputs, 3, 1, dilation, dilation, bias=False)
        self.reshapes = inputs != outputs or stride != 1
        if self.reshapes:
            self.conv_branch1 = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def transform(self, x: Tensor, activated: Tensor) -> Tensor:
        """Add the two convolutions to the input, or to its projection where the shape changes."""
        skip: Tensor = self.conv_branch1(activated) if self.reshapes else x
        branch = F.relu(self.bn_branch2b1(self.conv_branch2a(activated)), inplace=True)
        out: Tensor = skip + self.conv_branch2b1(branch)
        return out


class Bottleneck(PreActivated):
    """1x1, dilated 3x3 and 1x1 convolutions that widen in steps, with dropout of channels."""

    def __init__(self, inputs: int, outputs: int, *, dilation: int, dropout: float) -> None:
        super().__init__(inputs)
        self.conv_branch1 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.conv_branch2a = nn.Conv2d(inputs, outputs // 4, 1, bias=False)
        self.bn_branch2b1 = nn.BatchNorm2d(outputs // 4)
        self.conv_branch2b1 = nn.Conv2d(outputs // 4, outputs // 2, 3, 1, dilation, dilation, bias=False)
        self.bn_branch2b2 = nn.BatchNorm2d(outputs // 2)
        self.conv_branch2b2 = nn.Conv2d(outputs // 2, outputs, 1, bias=False)
        self.dropout = nn.Dropout2d(dropout)

    def transform(self, x: Tensor, activated: Tensor) -> Tensor:
        """Add the three convolutions to the projected activation; `x` itself has no skip connection."""
        branch = self.dropout(F.relu(self.bn_branch2b1(self.conv_branch2a(activated)), inplace=True))
        branch = self.dropout(F.relu(self.bn_branch2b2(self.conv_branch2b1(branch)), inplace=True))
        out: Tensor = self.conv_branch1(activated) + self.conv_branch2b2(branch)
        return out


class ResNet38(Encoder):
    """ResNet38 in five stages, b2, b3, b4, b5 and b7, with the names of its ImageNet checkpoints.

    Each stage's output is read after the batch norm and ReLU that follow it (the next stage's first,
    or `bn7`), as AffinityNet, SEAM and OEEM do. The papers' stages 4, 5 and 6 are the last three.

    Args:
        output_stride: Stride of the last stage: 8, or 16 with half the dilation.
        last_dilation: Dilation of b7 at output stride 8: 4 as in AffinityNet, 2 as in OEEM.
    """

    channels = (128, 256, 512, 1024, 4096)

    def __init__(self, *, output_stride: int = 8, last_dilation: int = 4) -> None:
        super().__init__()
        if last_dilation not in (2, 4):
            raise ValueError(f"last_dilation: one of 2, 4. Received: {last_dilation}")
        step = output_stride // 8
        self.strides = (2, 4, 8, output_stride, output_stride)
        self.frozen = False
        self.conv1a = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.block_names = [*self._add_plain_blocks(step), "b6", "b7"]
        self.b6 = Bottleneck(1024, 2048, dilation=4 // step, dropout=0.3)
        self.b7 = Bottleneck(2048, 4096, dilation=last_dilation // step, dropout=0.5)
        self.bn7 = nn.BatchNorm2d(4096)

    def _add_plain_blocks(self, step: int) -> list[str]:
        names = []
        for stage, blocks, inputs, middle, outputs, stride, dilation in STAGES:
            if dilation > 1:
                stride, dilation = stride * step, dilation // step
            self.add_module(stage, PlainBlock(inputs, middle, outputs, stride=stride, dilation=dilation))
            names.append(stage)
            for index in range(1, blocks):
                block = PlainBlock(outputs, middle, outputs, first_dilation=dilation, dilation=dilation)
                self.add_module(f"{stage}_{index}", block)
                names.append(f"{stage}_{index}")
        return names

    def freeze(self) -> None:
        """Fix conv1a and every batch norm, even in training mode, as in training from ImageNet weights."""
        self.frozen = True
        self.conv1a.requires_grad_(False)
        for norm in self._batch_norms():
            norm.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> ResNet38:
        """Set training or evaluation mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self.frozen:
            for norm in self._batch_norms():
                norm.eval()
        return self

    def _batch_norms(self) -> list[nn.BatchNorm2d]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the five stages' activated feature maps of (N, 3, H, W) normalised RGB."""
        x = self.conv1a(images)
        features = []
        for name in self.block_names:
            block: PreActivated = getattr(self, name)
            activated = block.activate(x)
            if name in AFTER_A_STAGE:
                features.append(activated)
            x = block.transform(x, activated)
        return [*features, F.relu(self.bn7(x), inplace=True)]
