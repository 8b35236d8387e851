"""The skeleton against its drawing, and against parameter counts of public reference networks."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from unmix.models.blocks.conv import PlainBlock, Style
from unmix.models.blocks.recurrent import RecurrentBlock, RecurrentConvolution
from unmix.models.blocks.resample import Double, Halve, Pool, Repeat
from unmix.models.blocks.skeleton import Parts, Skeleton, _decoding_order
from unmix.models.blocks.skips import Add, Concatenate, Gated, Skip

STYLE = Style()


def _parts(
    block: Callable[[int, int, int, Style], nn.Module] = PlainBlock,
    skip: Callable[[int, int, int], Skip] = lambda width, below, across: Concatenate(across),
    **changes: object,
) -> Parts:
    settings = {
        "style": STYLE,
        "block": lambda wide, narrow, bins: block(wide, narrow, 2, STYLE),
        "down": lambda wide, narrow: Pool(wide),
        "up": lambda wide, narrow: Repeat(wide, narrow, STYLE),
        "skip": skip,
        "bottleneck": lambda width: nn.Identity(),
    }
    return Parts(**(settings | changes))


def _gated(width: int, below: int, across: int) -> Skip:
    return Gated(width, STYLE)


def _with_biases(network: nn.Module) -> int:
    """Count parameters, and the biases before norms that references have and ours leave out."""
    count = sum(parameter.numel() for parameter in network.parameters())
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            count += module.out_channels
        if isinstance(module, RecurrentConvolution):
            # References share one norm over all passes.
            norms = [sum(p.numel() for p in norm.parameters()) for norm in module.norms]
            count -= sum(norms[1:])
    return count


@pytest.mark.parametrize(
    ("block", "skip", "count"),
    [
        (PlainBlock, None, 34_527_041),
        (PlainBlock, _gated, 34_878_573),
        (RecurrentBlock, None, 39_091_393),
        (RecurrentBlock, _gated, 39_442_925),
    ],
)
def test_reference_networks_count_the_same(
    block: Callable[[int, int, int, Style], nn.Module],
    skip: Callable[[int, int, int], Skip] | None,
    count: int,
) -> None:
    """Networks of images, three channels to one: U-Net, Attention U-Net, R2U-Net, both."""
    with torch.device("meta"):
        parts = _parts(block, **({"skip": skip} if skip else {}))
        widths = [64, 128, 256, 512, 1024]
        network = nn.Sequential(Skeleton(3, widths, 256, parts), nn.Conv2d(64, 1, 1))
    assert _with_biases(network) == count


def test_the_decoding_order_is_that_of_the_drawing() -> None:
    assert list(_decoding_order(3, nested=False)) == [(2, 1), (1, 1), (0, 1)]
    nested = [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)]
    assert list(_decoding_order(3, nested=True)) == nested
    assert list(_decoding_order(1, nested=True)) == list(_decoding_order(1, nested=False))


class _Told(nn.Module):
    """A block that gives its output a name made of its inputs' names, and no features."""

    def forward(self, features: str) -> str:
        return f"block({features})"


class _Met(Skip):
    def forward(self, up: str, across: list[str]) -> str:  # type: ignore[override]
        return " ".join([*across, up])


def test_nested_nodes_meet_what_the_paper_says() -> None:
    """X(i, j) is a block of X(i, 0) ... X(i, j - 1) and of what comes up from X(i + 1, j - 1)."""

    class Up(nn.Module):
        def forward(self, features: str) -> str:
            return f"up[{features}]"

    class Down(nn.Module):
        width_out = 1

        def forward(self, features: str) -> str:
            return f"down[{features}]"

    parts = _parts(
        lambda *_: _Told(),
        lambda *_: _Met(),
        down=lambda *_: Down(),
        up=lambda *_: Up(),
        nested=True,
    )
    x00 = "block(x)"
    x10 = f"block(down[{x00}])"
    x20 = f"block(down[{x10}])"
    x01 = f"block({x00} up[{x10}])"
    x11 = f"block({x10} up[{x20}])"
    x02 = f"block({x00} {x01} up[{x11}])"
    assert Skeleton(1, [1, 1, 1], 4, parts)("x") == x02


def test_every_block_is_told_its_bins() -> None:
    told = []

    def block(width_in: int, width_out: int, bins: int) -> nn.Module:
        told.append((width_in, width_out, bins))
        return PlainBlock(width_in, width_out, 1, STYLE)

    Skeleton(3, [4, 8, 16], 32, replace(_parts(), block=block))
    assert told == [(3, 4, 32), (4, 8, 16), (8, 16, 8), (16, 8, 16), (8, 4, 32)]


@pytest.mark.parametrize("preactivated", [False, True])
@pytest.mark.parametrize("nested", [False, True])
def test_size_is_kept(nested: bool, preactivated: bool) -> None:
    style = Style(preactivated=preactivated)
    parts = _parts(
        skip=(lambda w, b, across: Concatenate(across)) if nested else (lambda *_: Add()),
        style=style,
        down=lambda wide, narrow: Halve(wide, narrow, style),
        up=lambda wide, narrow: Double(wide, narrow, style),
        nested=nested,
    )
    features: Tensor = torch.randn(2, 3, 8, 12)
    assert Skeleton(3, [4, 6, 8], 8, parts)(features).shape == (2, 4, 8, 12)


def test_a_preactivated_network_keeps_signs_until_its_first_convolution() -> None:
    """An activation on the bare input would throw the negative half of it away."""
    style = Style(preactivated=True)
    parts = _parts(lambda i, o, n, _: PlainBlock(i, o, n, style), style=style)
    skeleton = Skeleton(3, [4], 8, parts).eval()
    features = torch.randn(1, 3, 8, 8)
    less = features.clone()
    less[0, 0, 4, 4] = -1.0
    more = less.clone()
    more[0, 0, 4, 4] = -2.0
    assert not torch.equal(skeleton(less), skeleton(more))
    assert (skeleton(features) >= 0).all()  # and the last layer is an activation
