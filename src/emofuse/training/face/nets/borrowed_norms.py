"""Making borrowed weights trainable where the lender folded its norms away."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Layers = Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]]

LEVELS_PER_DEVIATION = 56.0
"""Grey levels that one unit of a standardised face stands for: a usual deviation."""


def become_affine(norm: nn.BatchNorm2d, scale: Tensor, shift: Tensor) -> None:
    """Make a norm, as it is in use, a scale and a shift per channel, (channels,) each."""
    norm.weight.copy_(scale)
    norm.bias.copy_(shift)
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]


@torch.no_grad()
def calibrate_batchnorm(net: nn.Module, layers: Layers, faces: Tensor) -> None:
    """Give the batch norms the statistics of these faces, without changing what the net answers.

    A net published for use has scales and shifts in place of norms, and kernels of any
    size. Under a norm that size only sets how fast a kernel turns, so that a usual
    learning rate would erase small ones within an epoch: kernels are brought to the
    deviation of fresh ones (He et al. 2015, arXiv:1502.01852), the norms to what then
    reaches them.

    Args:
        net: with weights whose norms stand for a scale and a shift.
        layers: its convolutions, each with the norm behind it.
        faces: some hundred prepared faces, (n, channels, side, side).
    """
    for convolution, norm in layers:
        _enlarge(convolution, norm)

    def take_statistics(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        mean = inputs[0].mean(dim=(0, 2, 3))
        deviation = (inputs[0].var(dim=(0, 2, 3)) + norm.eps).sqrt()
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # type: ignore[operator, union-attr]
        shift = norm.bias - norm.running_mean * scale  # type: ignore[operator]
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(deviation**2 - norm.eps)  # type: ignore[union-attr]
        norm.weight.copy_(scale * deviation)
        norm.bias.copy_(shift + scale * mean)

    hooks = [norm.register_forward_pre_hook(take_statistics) for _, norm in layers]
    net.eval()(faces)
    for hook in hooks:
        hook.remove()


def _enlarge(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Bring kernels to the deviation of fresh ones; the norm takes it back."""
    inputs = convolution.weight[0].numel()
    factor = float((2 / inputs) ** 0.5 / convolution.weight.std())
    convolution.weight *= factor
    if convolution.bias is not None:
        convolution.bias *= factor
    norm.running_mean *= factor  # type: ignore[assignment, operator]
    norm.running_var.add_(norm.eps).mul_(factor**2).sub_(norm.eps)  # type: ignore[union-attr]
