"""The adversarial separator and its critic against the facts of their paper and code."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unmix.errors import ConfigError
from unmix.models import build
from unmix.models.adversarial import AdversarialSeparator, Critic
from unmix.recipes.reading import recipes
from unmix.training.config import read_recipe

SMALL = {"n_fft": 64, "hop_length": 32, "frames": 10, "width": 2, "depth": 2}


def _small(**changes: object) -> AdversarialSeparator:
    torch.manual_seed(0)
    return build("adversarial", SMALL | changes).eval()


def test_the_recipe_is_the_papers() -> None:
    model = build("adversarial", read_recipe(recipes()["adversarial"]).model)
    assert sum(p.numel() for p in model.parameters()) == 958_596
    assert (model.sample_rate, model.audio_channels) == (8192, 1)
    assert model.stems == ("accompaniment", "vocals")
    # 158 frames make 66, 350 bins (257 and silence) make 258.
    assert model.network.context == 46
    assert model.network.input_size(66 + 92) == 158
    assert model.network.input_size(257 + 92) == 350
    assert model.stft.frame_count(model.chunk) == 66
    mixture = torch.randn(1, 1, model.chunk + 2 * model.context)
    seen = []
    model.network.register_forward_hook(lambda _, given, made: seen.extend([given[0], made]))
    with torch.inference_mode():
        assert model(mixture).shape == (1, 2, 1, model.chunk)
    assert [tuple(t.shape) for t in seen] == [(1, 1, 350, 158), (1, 2, 258, 66)]


def test_the_spectrum_lies_where_the_papers_code_has_it() -> None:
    """46 rows of silence below and 47 above, of which a row of the estimates is dropped."""
    model = build("adversarial", {}).eval()
    frames = model.stft(torch.randn(1, 1, 157 * 256))
    assert frames.shape[-1] == 158
    seen = []
    model.network.register_forward_hook(lambda _, given, made: seen.extend([given[0], made]))
    with torch.inference_mode():
        estimates = model.log_magnitudes(frames)
    given, made = seen
    assert not given[..., :46, :].any()
    assert not given[..., -47:, :].any()
    torch.testing.assert_close(given[:, :, 46:303], frames.abs().log1p())
    assert torch.equal(estimates, made[:, :, None, :257])


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("n_fft", [32, 64, 96])
def test_every_geometry_returns_every_length(depth: int, n_fft: int) -> None:
    model = _small(depth=depth, n_fft=n_fft, hop_length=24, audio_channels=2)
    with torch.inference_mode():
        for length in (1, 23, 24, 25, 500):
            estimates = model(torch.randn(1, 2, length + 2 * model.context))
            assert estimates.shape == (1, 2, 2, length)
    with pytest.raises(ValueError, match="expected more than"):
        model(torch.randn(1, 2, 2 * model.context))


def test_a_chunk_makes_what_the_whole_makes() -> None:
    """Nothing but what stands around it decides an estimate: where the pooling agrees, all do."""
    model = _small()
    grid = model.config.hop_length * 2**model.config.depth
    context, chunk = model.context, model.chunk
    mixture = torch.randn(1, 1, chunk + 5 * grid + 2 * context)
    with torch.inference_mode():
        whole = model(mixture)
        for start in range(0, 5 * grid + 1, grid):
            estimates = model(mixture[..., start : start + chunk + 2 * context])
            expected = whole[..., start : start + chunk]
            torch.testing.assert_close(estimates, expected, atol=1e-5, rtol=1e-4)


def test_an_estimate_stands_where_its_sound_stands() -> None:
    """With the heads passing the mixture on, the stems are the mixture, to the sample."""
    model = _small(audio_channels=2)
    with torch.no_grad():
        for head in model.network.heads:
            head.weight.zero_()[:, 0] = 1  # the mixture comes before the features
            head.bias.zero_()
    mixture = torch.randn(2, 2, 777 + 2 * model.context)
    with torch.inference_mode():
        estimates = model(mixture)
    inner = mixture[..., model.context : -model.context]
    torch.testing.assert_close(estimates, inner[:, None].expand_as(estimates), atol=1e-4, rtol=1e-4)


def test_silence_stays_silence_whatever_the_biases() -> None:
    model = _small()
    with torch.no_grad():
        for head in model.network.heads:
            head.bias.fill_(1)
        estimates = model(torch.zeros(1, 1, model.chunk + 2 * model.context))
        assert estimates.abs().max() == 0
        # Half a recording of silence: nothing there but the other half's reach.
        mixture = torch.zeros(1, 1, 4000 + 2 * model.context)
        mixture[..., : 1000 + model.context] = torch.randn(1000 + model.context)
        estimates = model(mixture)
    assert estimates[..., :1000].abs().max() > 0.1
    assert estimates[..., 1000 + model.config.n_fft :].abs().max() == 0


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"hop_length": 600}, {"stems": []}])
def test_refuses_what_cannot_work(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        build("adversarial", wrong)


def _critic(variables: dict[str, Tensor]) -> Critic:
    """Return the paper's critic with weights from TensorFlow, by their names within its scope."""
    critic = Critic()
    state = {}
    for rank in range(6):
        layer = f"conv2d_{rank}" if rank else "conv2d"
        own = f"layers.{rank}.convolution"
        state[f"{own}.weight"] = variables[f"{layer}/kernel"].permute(3, 2, 0, 1)
        state[f"{own}.bias"] = variables[f"{layer}/bias"]
    # TensorFlow flattens frequency, time, width; here the width comes first.
    dense = variables["dense/kernel"].reshape(4, 4, 256, 32)
    state["hidden.weight"] = dense.permute(3, 2, 0, 1).flatten(1)
    state["hidden.bias"] = variables["dense/bias"]
    state["output.weight"] = variables["dense_1/kernel"].T
    critic.load_state_dict(state)
    return critic


def _filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the weights that the fixture was made with, by the name of the variable."""
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(int(np.prod(shape)))
    quarters = np.rint(4 * noise).reshape(shape) / 4
    if name.endswith("bias"):
        return torch.from_numpy(quarters / 16).float()
    fan = int(np.prod(shape[:-1]))
    return torch.from_numpy(quarters * 2.0 ** np.round(np.log2(np.sqrt(2 / fan)))).float()


def test_the_critics_agree_with_tensorflow(shared: Path) -> None:
    fixture = np.load(shared / "parity_tf" / "adversarial_separator_critic.npz")
    scope = "var:acc_disc/"
    stored = {
        name.removeprefix(scope): torch.from_numpy(fixture[name].astype(np.float32))
        for name in fixture.files
        if name.startswith(scope)
    }
    for name, values in stored.items():  # the rule is what the other critic's weights come from
        assert torch.equal(_filled(f"acc_disc/{name}", tuple(values.shape)), values)
    ruled = {name: _filled(f"voice_disc/{name}", tuple(v.shape)) for name, v in stored.items()}
    given = torch.from_numpy(fixture["critic_input"]).permute(0, 3, 1, 2).requires_grad_()
    assert sum(p.numel() for p in Critic().parameters()) == 1_869_344
    judged = _critic(stored)(given)
    np.testing.assert_allclose(judged.detach(), fixture["acc_disc"], atol=1e-5, rtol=0)
    with torch.inference_mode():
        voice = _critic(ruled)(given)
    np.testing.assert_allclose(voice, fixture["voice_disc"], atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(judged.sum(), given)
    norm = gradient.square().sum((1, 2, 3)).sqrt()
    np.testing.assert_allclose(norm, fixture["acc_disc_input_gradient_norm"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("bins", "frames"), [(256, 64), (33, 17), (16, 4), (64, 3), (5, 100)])
def test_a_critic_of_any_size_learns_through_its_gradient(bins: int, frames: int) -> None:
    """The gradient penalty differentiates twice: every weight has a part in it."""
    torch.manual_seed(0)
    critic = Critic(bins, frames, width=4)
    given = torch.randn(3, 1, bins, frames, requires_grad=True)
    judged = critic(given)
    assert judged.shape == (3, 1)
    (gradient,) = torch.autograd.grad(judged.sum(), given, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in critic.named_parameters():
        if name.endswith("weight"):
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_a_critic_refuses_other_sizes() -> None:
    with pytest.raises(ValueError, match=r"expected \[B, 1, 256, 64\], got \(2, 1, 257, 64\)"):
        Critic()(torch.randn(2, 1, 257, 64))
