"""The BLSTM: its size, its order of features, its pieces."""

import pytest
import torch

from unmix.models import build
from unmix.models.spleeter_blstm import SpleeterBLSTM
from unmix.recipes.reading import find_architecture

PARAMETERS = 8_634_048


def _small(**settings: object) -> SpleeterBLSTM:
    torch.manual_seed(0)
    table = find_architecture("spleeter-blstm").model
    smoke = {"n_fft": 64, "hop_length": 16, "frames": 16, "bins": 20, "units": 7}
    model = build("spleeter-blstm", table | smoke | settings).eval()
    assert isinstance(model, SpleeterBLSTM)
    return model


def test_as_many_parameters_as_published() -> None:
    """CuDNN's cells have two biases, which are torch's ``bias_ih`` and ``bias_hh``."""
    model = build("spleeter-blstm", find_architecture("spleeter-blstm").model)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS * len(model.stems)
    assert all(p.requires_grad for p in model.parameters())


def test_a_frame_is_its_bins_each_with_its_channels() -> None:
    """Without recurrence a frame's features and estimates are in the order [F', C]."""
    model = _small()
    network = model.networks[0]
    network.lstm.register_forward_hook(lambda _module, inputs, _out: seen.append(inputs[0]))
    seen: list[torch.Tensor] = []
    magnitude = torch.rand(2, 2, 20, 16)
    with torch.inference_mode():
        network.last.weight.zero_()
        network.last.bias.copy_(torch.arange(40.0))
        estimate = network(magnitude)
    assert seen[0].shape == (2, 16, 40)
    for bin_, channel in ((0, 0), (0, 1), (1, 0), (19, 1)):
        assert torch.equal(seen[0][..., 2 * bin_ + channel], magnitude[:, channel, bin_])
        assert (estimate[:, channel, bin_] == 2 * bin_ + channel).all()


def test_estimates_are_magnitudes() -> None:
    model = _small()
    with torch.inference_mode():
        magnitudes = model.estimate_magnitudes(torch.randn(1, 2, 33, 20, dtype=torch.complex64))
    assert magnitudes.shape == (1, 2, 2, 20, 20)
    assert magnitudes.min() >= 0


def test_pieces_do_not_see_each_other() -> None:
    model = _small()
    frames = torch.randn(1, 2, 33, 32, dtype=torch.complex64)
    other = frames.clone()
    other[..., 16:] *= 2
    with torch.inference_mode():
        before, after = model.estimate_magnitudes(frames), model.estimate_magnitudes(other)
    torch.testing.assert_close(before[..., :16], after[..., :16])
    assert not torch.allclose(before[..., 16:], after[..., 16:])


@pytest.mark.parametrize("wiener", [0, 1])
def test_the_stems_are_all_of_the_mixture(wiener: int) -> None:
    model = _small(wiener=wiener)
    mixture = torch.randn(1, 2, 2000)
    with torch.inference_mode():
        missing = model(mixture).sum(1) - mixture
    assert missing.abs().max() < (1e-5 if wiener == 0 else 2e-2)


def test_one_channel() -> None:
    model = _small(audio_channels=1, stems=("vocals", "drums", "other"))
    with torch.inference_mode():
        assert model(torch.randn(2, 1, 700)).shape == (2, 3, 1, 700)
