"""Laws of single blocks: what goes in, what comes out, and the arithmetic of their papers."""

import pytest
import torch
from torch import Tensor, nn

from unmix.models.blocks.conv import PlainBlock, ResidualBlock, Style, change_width
from unmix.models.blocks.dense import DenseBlock, dense_growth
from unmix.models.blocks.multires import MultiResBlock, multires_widths
from unmix.models.blocks.recurrent import RecurrentConvolution
from unmix.models.blocks.tfc_tdf import TDF, FrequencyLinear, TfcTdfBlock

STYLE = Style()
BEFORE = Style(preactivated=True)


def _features(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mean", [0.0, 3.0, 100.0])
def test_instance_norm_is_torchs_and_accurate(mean: float) -> None:
    features = mean + 2 * _features(2, 6, 90, 70)
    ours = Style(norm="instance").normalise(6)
    exact = nn.InstanceNorm2d(6).double()(features.double())
    torch.testing.assert_close(ours(features).double(), exact, atol=1e-4, rtol=0)


@pytest.mark.parametrize("mean", [0.0, 3.0, 100.0])
def test_group_norm_is_torchs_and_its_gradient_too(mean: float) -> None:
    features = (mean + 2 * _features(2, 24, 9, 7)).requires_grad_()
    exact = features.detach().double().requires_grad_()
    weight = torch.randn(2, 24, 9, 7)
    result = Style(norm="group").normalise(24)(features)
    expected = nn.GroupNorm(8, 24).double()(exact)
    torch.testing.assert_close(result.double(), expected, atol=1e-4, rtol=0)
    (result * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(features.grad.double(), exact.grad, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("width", "groups"), [(1, 1), (6, 2), (8, 8), (40, 8)])
def test_group_norm_finds_groups_for_any_width(width: int, groups: int) -> None:
    norm = Style(norm="group").normalise(width)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups


def test_style_puts_the_norm_on_the_side_it_says() -> None:
    after, before = (style.convolution(3, 5) for style in (STYLE, BEFORE))
    assert [type(part) for part in after] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(part) for part in before] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d]
    assert (after[1].num_features, before[0].num_features) == (5, 3)


@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "gelu", "silu"])
def test_activations_keep_what_is_large_and_drop_what_is_negative(activation: str) -> None:
    given = torch.tensor([-9.0, 0.0, 9.0])
    result = Style(activation=activation).activate()(given.clone())  # type: ignore[arg-type]
    torch.testing.assert_close(result, given.clamp(min=0), atol=0.1, rtol=1e-2)


@pytest.mark.parametrize("norm", ["batch", "instance", "group"])
def test_no_bias_that_a_norm_takes_away(norm: str) -> None:
    block = PlainBlock(3, 8, 3, Style(norm=norm))  # type: ignore[arg-type]
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.bias for conv in convolutions] == [None] * 3
    assert [conv.in_channels for conv in convolutions] == [3, 8, 8]


def test_a_residual_block_without_body_is_its_input() -> None:
    block = ResidualBlock(6, 6, 2, BEFORE)
    nn.init.zeros_(block.body[-1][-1].weight)
    features = _features(2, 6, 8, 5)
    torch.testing.assert_close(block(features), features)
    assert isinstance(change_width(6, 6), nn.Identity)
    assert isinstance(ResidualBlock(6, 7, 2, BEFORE).shortcut, nn.Conv2d)


def test_blocks_leave_their_input_alone() -> None:
    """Activations work in place: none may reach the features that a skip still needs."""
    for style in (STYLE, BEFORE):
        for block in (
            PlainBlock(8, 8, 2, style),
            ResidualBlock(8, 8, 2, style),
            DenseBlock(8, 16, 4, style),
            MultiResBlock(8, 8, 3, style),
            TfcTdfBlock(8, 8, 1, style, 8, 2),
        ):
            features = _features(1, 8, 8, 5)
            before = features.clone()
            block(features)
            assert torch.equal(features, before), type(block)


def test_a_dense_block_doubles_its_width_layer_by_layer() -> None:
    assert dense_growth(64, 4) == 8
    block = DenseBlock(32, 64, 4, STYLE)
    assert [layer[0][0].in_channels for layer in block.layers] == [32, 40, 48, 56]
    features = _features(2, 32, 8, 5)
    known = block(features)
    assert known.shape == (2, 64, 8, 5)
    assert torch.equal(known[:, :32], features)  # nothing that was known is lost
    # In the decoder, what is concatenated is twice the level's width: squeezed to a quarter.
    assert DenseBlock(128, 64, 4, STYLE).squeeze.weight.shape == (32, 128, 1, 1)


def test_a_dense_block_refuses_a_width_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match="a multiple of 8 feature maps, got 12"):
        DenseBlock(6, 12, 4, STYLE)


@pytest.mark.parametrize(
    ("width", "widths"), [(51, [8, 17, 26]), (105, [17, 35, 53]), (6, [1, 2, 3])]
)
def test_multires_widths_are_a_sixth_a_third_a_half(width: int, widths: list[int]) -> None:
    """51 and 105 are the widths of the first levels of the paper's network."""
    assert multires_widths(width, 3) == widths
    assert sum(multires_widths(width, 2)) == width


def test_multires_convolutions_see_three_five_seven() -> None:
    block = MultiResBlock(1, 6, 3, STYLE).eval()
    field = torch.zeros(1, 1, 15, 15)
    base, struck = field.clone(), field.clone()
    struck[0, 0, 7, 7] = 100.0
    seen = []
    for chain in (block.chain[:1], block.chain[:2], block.chain[:3]):
        steps = nn.Sequential(*chain)
        for step in steps:  # positive weights: no rectifier hides the way
            nn.init.ones_(step[0].weight)
        seen.append(int((steps(struck) != steps(base)).any(1).any(1).sum()))
    assert seen == [3, 5, 7]
    with pytest.raises(ValueError, match="needs at least 6 feature maps, got 5"):
        MultiResBlock(4, 5, 3, STYLE)


def test_a_recurrent_convolution_feeds_back_three_times() -> None:
    layer = RecurrentConvolution(1, STYLE)
    layer.norms = nn.ModuleList(nn.Identity() for _ in layer.norms)
    nn.init.zeros_(layer.convolution.weight)
    layer.convolution.weight.data[0, 0, 1, 1] = 0.5
    # s = x / 2, then (x + s) / 2 twice: 1/2, 3/4, 7/8.
    features = _features(1, 1, 4, 4)
    torch.testing.assert_close(layer(features), 0.875 * features)


def test_a_frequency_layer_is_a_linear_layer_over_bins() -> None:
    layer = FrequencyLinear(8, 3)
    features = _features(2, 5, 8, 7)
    expected = (features.transpose(2, 3) @ layer.weight.T).transpose(2, 3)
    for given in (features, features.contiguous()):
        torch.testing.assert_close(layer(given), expected)
    assert layer(features).is_contiguous(memory_format=torch.channels_last)


def test_a_tdf_sees_all_bins_of_one_frame_of_one_map() -> None:
    tdf = TDF(4, 16, 4, STYLE).eval()
    assert [part[0].weight.shape for part in tdf] == [(4, 16), (16, 4)]
    features = torch.rand(1, 4, 16, 6)
    struck = features.clone()
    struck[0, 2, 5, 3] += 10
    changed = (tdf(struck) != tdf(features)).nonzero()
    assert set(changed[:, 1].tolist()) == {2}
    assert set(changed[:, 3].tolist()) == {3}
    assert len(changed) > 4  # of 16 bins


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_tfc_tdf_block_takes_any_number_of_frames_but_its_own_bins(count: int) -> None:
    block = TfcTdfBlock(3, 4, 2, BEFORE, 16, 8)
    assert block(_features(2, 3, 16, count)).shape == (2, 4, 16, count)
    with pytest.raises(RuntimeError):
        block(_features(2, 3, 8, count))


def test_a_tfc_tdf_block_without_its_last_convolutions_is_its_input() -> None:
    block = TfcTdfBlock(4, 4, 2, BEFORE, 16, 8)
    for pair in block:
        nn.init.zeros_(pair.after[-1].weight)
    features = _features(2, 4, 16, 5)
    torch.testing.assert_close(block(features), features)
