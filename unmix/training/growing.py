"""Growing: a wider network takes over a narrower one's weights, and computes the same at first.

The idea is that of Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer" (ICLR
2016). There new feature maps are copies of old ones; here they are random, and nothing that was
there before listens to them yet: no two of them can stay alike, and any step brings them in.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..models import Model

# Of a layer's weights ``[out, in, ...]``.
_OUT, _IN = 0, 1
# Largest error of the grown network, against the largest value of what it grew from.
_TOLERANCE = 1e-3


@torch.no_grad()
def grow(source: Model, model: Model) -> None:
    """Give a model the weights of one like it, but for narrower layers.

    Args:
        source: where the weights come from; its feature maps become the first ones.
        model: fresh; its random weights stay where the source has none.

    Raises:
        ModelError: where the two are not alike, the source has a layer that is wider, or the
            wider network does not compute the same: maps that are joined side by side, say, are
            not the first ones.
    """
    held, listeners = source.state_dict(), _axes_in(model)
    wanted = model.state_dict()
    if held.keys() != wanted.keys():
        name = min(held.keys() ^ wanted.keys())
        raise ModelError(f"the networks are not alike: only one of them has {name}")
    for name, tensor in wanted.items():
        narrow = held[name]
        if not _holds(tensor.shape, narrow.shape):
            raise ModelError(f"{name} is {[*narrow.shape]}, which does not fit {[*tensor.shape]}")
        _take_over(tensor, narrow, listeners.get(name))
    model.load_state_dict(wanted, strict=True)
    _compare(source, model)


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
        everything = list(old)
        everything[axis_in] = slice(narrow.shape[axis_in], None)
        tensor[tuple(everything)] = 0
    tensor[old] = narrow


def _axes_in(model: nn.Module) -> dict[str, int]:
    """Return, of the weights that mix feature maps, the axis of the maps that come in, by name."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d)
    layers = (nn.Conv1d, nn.Conv2d, nn.Linear)
    axes = {}
    for name, layer in model.named_modules():
        if isinstance(layer, (*transposed, *layers)):
            axes[f"{name}.weight"] = _OUT if isinstance(layer, transposed) else _IN
    return axes


def _compare(source: Model, model: Model) -> None:
    """Raise an error unless both make the same of noise; neither of them is changed."""
    length = source.chunk + 2 * source.context
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(1, source.audio_channels, length, generator=generator)
    before, after = (copy.deepcopy(each).eval()(noise) for each in (source, model))
    if before.shape != after.shape:
        raise ModelError(f"estimates were {[*before.shape]}, and became {[*after.shape]}")
    error = float((after - before).abs().max())
    if not error <= _TOLERANCE * float(before.abs().max()):
        raise ModelError("the wider network does not compute what the narrower one did")
