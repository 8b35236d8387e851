"""Growing: a network takes over the weights of a smaller one, and computes the same at first.

The idea is that of Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer" (ICLR
2016). There new feature maps are copies of old ones, and new layers the identity; here new maps are
random, and nothing that was there before listens to them yet: no two of them can stay alike, and
any step brings them in. New layers are residual, and add zero to what passes them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..models import Model
from ..models.blocks.tfc_tdf import TfcTdfLayer

# Largest error of the grown network, against the largest value of what it grew from.
_TOLERANCE = 1e-3


@torch.no_grad()
def grow(source: Model, model: Model) -> None:
    """Give a model the weights of one like it, but for narrower layers or fewer in a TFC-TDF block.

    Layers that see maps joined side by side cannot grow, for the new ones are not the last there:
    skips by concatenation, for one. Nor can recurrent layers and attention.

    Args:
        source: where the weights come from; its feature maps become the first ones.
        model: fresh; its random weights stay where the source has none. Unchanged after an error.

    Raises:
        ModelError: where the two are not alike, the source has a layer that is wider, or the
            grown network does not compute the same, in training or after.
    """
    _check_alike(source, model)
    held, listeners = source.state_dict(), _axes_in(model)
    wanted = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    added = _layers_added(model, held)
    _add_nothing(model, wanted, added)
    common = {name: wanted[name] for name in wanted if not name.startswith(added)}
    if odd := held.keys() ^ common.keys():
        raise ModelError(f"only one of the networks has {min(odd)}")
    for name, tensor in common.items():
        if not _holds(tensor.shape, held[name].shape):
            raise ModelError(
                f"{name} is {[*held[name].shape]}, which does not fit {[*tensor.shape]}"
            )
        _take_over(tensor, held[name], listeners.get(name))
    grown = copy.deepcopy(model)
    grown.load_state_dict(wanted, strict=True)
    for training in (True, False):  # norms by their batch, and by what they remember
        if not _compute_the_same(source, grown, training=training):
            raise ModelError("the grown network does not compute what the given one does")
    model.load_state_dict(wanted, strict=True)


def _check_alike(source: Model, model: Model) -> None:
    for what in ("stems", "sample_rate", "audio_channels", "context"):
        before, after = getattr(source, what), getattr(model, what)
        if before != after:
            raise ModelError(f"{what} is {before} in one of the networks, {after} in the other")


def _layers_added(model: Model, held: Collection[str]) -> tuple[str, ...]:
    """Return the names, with the dot behind, of a model's residual layers that are not held."""
    parts = model.named_modules()
    layers = (f"{name}." for name, part in parts if isinstance(part, TfcTdfLayer))
    return tuple(layer for layer in layers if not any(name.startswith(layer) for name in held))


def _add_nothing(model: Model, wanted: dict[str, Tensor], added: Iterable[str]) -> None:
    """Zero the last convolution of residual layers, so that what comes passes by them."""
    # Norm and activation stand before it: the gradient that it gets is not zero.
    for layer in added:
        for name in _axes_in(model.get_submodule(f"{layer}after")):
            wanted[f"{layer}after.{name}"].zero_()


def _holds(wide: torch.Size, narrow: torch.Size) -> bool:
    alike = len(wide) == len(narrow)
    return alike and all(a >= b for a, b in zip(wide, narrow, strict=True))


def _take_over(tensor: Tensor, narrow: Tensor, axis_in: int | None) -> None:
    """Write a narrower tensor into the first entries of a wider one, in place."""
    #               old in   new in
    # old out     [ narrow |   0    ]     What was there stays as it was,
    # new out     [ random | random ]     and nobody hears the new ones yet.
    old = tuple(slice(size) for size in narrow.shape)
    if axis_in is not None:
        unheard = list(old)
        unheard[axis_in] = slice(narrow.shape[axis_in], None)
        tensor[tuple(unheard)] = 0
    tensor[old] = narrow


def _axes_in(model: nn.Module) -> dict[str, int]:
    """Return, of the weights that mix feature maps, the axis of the maps that come in, by name."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d)
    axes = {}
    for name, layer in model.named_modules():
        if isinstance(layer, (*transposed, nn.Conv1d, nn.Conv2d)) and layer.groups == 1:
            axes[f"{name}.weight"] = 0 if isinstance(layer, transposed) else 1
        elif isinstance(layer, nn.Linear):
            axes[f"{name}.weight"] = 1
    return axes


def _compute_the_same(source: Model, model: Model, *, training: bool) -> bool:
    """Whether both make the same of two examples of noise; neither of them is changed."""
    length = source.chunk + 2 * source.context
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(2, source.audio_channels, length, generator=generator)
    estimates = []
    for each in (source, model):
        with torch.random.fork_rng(devices=[]):  # what is dropped is the same in both
            torch.manual_seed(0)
            estimates.append(copy.deepcopy(each).train(training)(noise))
    before, after = estimates
    return float((after - before).abs().max()) <= _TOLERANCE * float(before.abs().max())
