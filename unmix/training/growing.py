"""Growing: extend a trained network to a larger one that initially computes the same function.

After Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer" (ICLR 2016), where new
feature maps are copies of old ones and new layers the identity. Here new maps are random and have
zero weights in the old layers that follow, so that they differ from the start; new layers are
residual and add zero.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..models import Model
from ..models.blocks.tfc_tdf import TfcTdfLayer
from ..models.modular_unet import ModularUNet

# Largest error of the grown network, relative to the largest value of the smaller network.
_TOLERANCE = 1e-3


@torch.no_grad()
def grow(source: Model, model: Model) -> None:
    """Copy the weights of a model with narrower layers, fewer TFC-TDF layers, or fewer stems.

    Layers after a concatenation cannot grow, since their new input maps are not the last ones; nor
    can recurrent layers and attention. New stems follow the old ones and share what these leave.

    Args:
        source: the smaller model; its feature maps and its stems become the first ones.
        model: the larger model with random weights, which stay where the source has none. It is
            unchanged after an error.

    Raises:
        ModelError: the models differ otherwise, a layer of the source is wider, or the grown
            network does not compute the same function in training and evaluation mode.
    """
    _check_alike(source, model)
    held, listeners = source.state_dict(), _axes_in(model)
    wanted = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    added = _layers_added(model, held)
    _add_nothing(model, wanted, added)
    common = {name: wanted[name] for name in wanted if not name.startswith(added)}
    if odd := held.keys() ^ common.keys():
        raise ModelError(f"only one of the two models has {min(odd)}")
    for name, tensor in common.items():
        if not _holds(tensor.shape, held[name].shape):
            raise ModelError(
                f"{name} has the shape {[*held[name].shape]}, which does not fit {[*tensor.shape]}"
            )
        _take_over(tensor, held[name], listeners.get(name))
    if len(model.stems) > len(source.stems):
        _share_residual(model, wanted, len(source.stems))
    grown = copy.deepcopy(model)
    grown.load_state_dict(wanted, strict=True)
    for training in (True, False):  # norms use the batch, then running statistics
        if not _compute_the_same(source, grown, training=training):
            raise ModelError("the grown model does not compute the same as the smaller one")
    model.load_state_dict(wanted, strict=True)


def _check_alike(source: Model, model: Model) -> None:
    for what in ("stems", "sample_rate", "audio_channels", "context"):
        before, after = getattr(source, what), getattr(model, what)
        if what == "stems" and after[: len(before)] == before:
            continue
        if before != after:
            raise ModelError(f"{what} is {before} in the smaller model, {after} in the larger one")


def _layers_added(model: Model, held: Collection[str]) -> tuple[str, ...]:
    """Return the names, with a trailing dot, of the residual layers that the source lacks."""
    parts = model.named_modules()
    layers = (f"{name}." for name, part in parts if isinstance(part, TfcTdfLayer))
    return tuple(layer for layer in layers if not any(name.startswith(layer) for name in held))


def _add_nothing(model: Model, wanted: dict[str, Tensor], added: Iterable[str]) -> None:
    """Zero the last convolution of residual layers, so that they add nothing."""
    # It follows a norm and an activation, so its gradient is not zero.
    for layer in added:
        for name in _axes_in(model.get_submodule(f"{layer}after")):
            wanted[f"{layer}after.{name}"].zero_()


def _share_residual(model: Model, wanted: dict[str, Tensor], stems: int) -> None:
    """Make the masks of all stems after the first ones equal parts of what these leave of 1."""
    if not isinstance(model, ModularUNet) or model.config.mask != "complex":
        raise ModelError("only a modular-unet with complex masks can grow more stems")
    for name, one in (("head.weight", 0.0), ("head.bias", 1.0)):
        # The rows of the head: stem, channel, real and imaginary part, sub-band.
        rows = wanted[name].unflatten(0, (len(model.stems), model.audio_channels, 2, -1))
        left = -rows[:stems].sum(0)
        left[:, 0] += one
        rows[stems:] = left / (len(model.stems) - stems)


def _holds(wide: torch.Size, narrow: torch.Size) -> bool:
    alike = len(wide) == len(narrow)
    return alike and all(a >= b for a, b in zip(wide, narrow, strict=True))


def _take_over(tensor: Tensor, narrow: Tensor, axis_in: int | None) -> None:
    """Write a narrower tensor into the first entries of a wider one, in place."""
    #               old in   new in
    # old out     [ narrow |   0    ]     Old outputs do not change,
    # new out     [ random | random ]     since new inputs have zero weights.
    old = tuple(slice(size) for size in narrow.shape)
    if axis_in is not None:
        unused = list(old)
        unused[axis_in] = slice(narrow.shape[axis_in], None)
        tensor[tuple(unused)] = 0
    tensor[old] = narrow


def _axes_in(model: nn.Module) -> dict[str, int]:
    """Return the axis of the input feature maps of each weight that mixes them, by name."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d)
    axes = {}
    for name, layer in model.named_modules():
        if isinstance(layer, (*transposed, nn.Conv1d, nn.Conv2d)) and layer.groups == 1:
            axes[f"{name}.weight"] = 0 if isinstance(layer, transposed) else 1
        elif isinstance(layer, nn.Linear):
            axes[f"{name}.weight"] = 1
    return axes


def _compute_the_same(source: Model, model: Model, *, training: bool) -> bool:
    """Whether both models compute the same for two items of noise; changes neither."""
    length = source.chunk + 2 * source.context
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(2, source.audio_channels, length, generator=generator)
    estimates = []
    for each in (source, model):
        with torch.random.fork_rng(devices=[]):  # both have the same dropout
            torch.manual_seed(0)
            estimates.append(copy.deepcopy(each).train(training)(noise))
    before, after = estimates
    after = after[:, : before.shape[1]]  # new stems have no counterpart
    return float((after - before).abs().max()) <= _TOLERANCE * float(before.abs().max())
