"""Laws over every registered architecture and every recipe."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from smoke import of_each_part, read, slow_but
from torch import Tensor

from unmix import Separator, load_model
from unmix.audio import read_audio
from unmix.errors import ConfigError, ModelError
from unmix.models import Model, SpectrogramModel, build, config_type, names, register
from unmix.models.unet import UNet, UNetConfig
from unmix.recipes.reading import recipes
from unmix.stems import ACCOMPANIMENT, VOCALS, residual_name
from unmix.training.config import Recipe
from unmix.weights.load import save_weights


def test_every_architecture_has_a_recipe() -> None:
    assert {read(name).architecture for name in recipes()} == set(names())


def test_says_who_wrote_the_paper(recipe: Recipe) -> None:
    import sys

    module = sys.modules[type(build(recipe.architecture, recipe.model | recipe.smoke)).__module__]
    assert "et al." in (module.__doc__ or "").partition("\n")[0]


def test_separates_any_length(smoke_model: Model) -> None:
    for batch, length in ((1, 1), (1, 63), (3, 1000), (1, 8191)):
        channels, stems = smoke_model.audio_channels, len(smoke_model.stems)
        mixture = 0.1 * torch.randn(batch, channels, length + 2 * smoke_model.context)
        with torch.inference_mode():
            estimates = smoke_model(mixture)
        assert estimates.shape == (batch, stems, channels, length)
        assert estimates.isfinite().all()


def test_silence_stays_silence(smoke_model: Model) -> None:
    """Frames of silence have no sound to keep; models of samples are held to it by separation."""
    if not isinstance(smoke_model, SpectrogramModel):
        stems = separated(smoke_model, np.zeros((2, 3000), np.float32))
        assert not any(stem.any() for stem in stems.values())
        return
    with torch.inference_mode():
        estimates = smoke_model(torch.zeros(1, smoke_model.audio_channels, smoke_model.chunk))
    assert estimates.abs().max() == 0


def test_deterministic_and_independent_of_the_batch(smoke_model: Model) -> None:
    mixture = 0.1 * torch.randn(2, smoke_model.audio_channels, _length(smoke_model))
    with torch.inference_mode():
        both, again = smoke_model(mixture), smoke_model(mixture)
        alone = smoke_model(mixture[1:])
    assert torch.equal(both, again)
    torch.testing.assert_close(both[1:], alone, atol=1e-6, rtol=1e-4)


def test_louder_in_is_louder_out(smoke_model: Model) -> None:
    """A recording 20 dB softer separates the same way, where a model says so."""
    if not smoke_model.levelled:
        pytest.skip("takes levels as they are, like its paper")
    mixture = 0.5 * torch.randn(1, smoke_model.audio_channels, smoke_model.chunk)
    with torch.inference_mode():
        loud, soft = smoke_model(mixture), smoke_model(mixture / 10)
    torch.testing.assert_close(loud / 10, soft, atol=1e-4, rtol=1e-2)


def test_every_weight_learns(smoke_model: Model) -> None:
    smoke_model.train()
    mixture = 0.1 * torch.randn(2, smoke_model.audio_channels, _length(smoke_model))
    estimates = smoke_model(mixture)
    (estimates * torch.randn_like(estimates)).abs().mean().backward()
    for name, parameter in smoke_model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name


#: A network of spectrograms, one of samples, and the default's.
FEW = ("unet", "wave-unet-m1", "tfc-tdf")


@pytest.mark.parametrize(
    "recipe_name", slow_but(FEW, dict.fromkeys((*FEW, *of_each_part()))), scope="session"
)
def test_overfits_one_excerpt(smoke_model: Model) -> None:
    """Two sounds in bands of their own: the loss falls by 90 % in 400 steps.

    One model for each architecture, block, skip, bottleneck and kind of mask.
    """
    for module in smoke_model.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout2d):
            module.p = 0.0
    references = _two_sounds(smoke_model)
    mixture = references.sum(1)
    inner = references[:, : len(smoke_model.stems)]
    inner = inner[..., smoke_model.context : mixture.shape[-1] - smoke_model.context]
    optimizer = torch.optim.Adam(smoke_model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, 400)
    smoke_model.train()
    first = None
    for _ in range(400):
        loss = (smoke_model(mixture) - inner).abs().mean()
        first = first or float(loss.detach())
        if float(loss.detach()) < 0.1 * first:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    pytest.fail(f"the loss fell from {first} to {float(loss.detach())} only")


def test_weights_come_back_to_the_bit(smoke_model: Model, recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    config = smoke_model.config.model_dump(mode="json")
    save_weights(path, recipe.architecture, config, smoke_model.state_dict(), "none")
    again = load_model(path)
    assert again.config == smoke_model.config
    mixture = torch.randn(1, smoke_model.audio_channels, _length(smoke_model))
    with torch.inference_mode():
        assert torch.equal(again(mixture), smoke_model(mixture))


@pytest.mark.parametrize(
    ("channels", "sample_rate"), [pytest.param(1, 22050, marks=pytest.mark.slow), (2, 48000)]
)
def test_separates_a_recording(
    smoke_model: Model, excerpt: Path, channels: int, sample_rate: int
) -> None:
    """Every stem has the recording's length, and with the residual they sum to it."""
    song, _ = read_audio(excerpt)
    mixture = song[:channels, 400000:405000]
    stems = separated(smoke_model, mixture, sample_rate)
    assert {stem.shape for stem in stems.values()} == {mixture.shape}
    residual = residual_name(smoke_model.stems)
    parts = {VOCALS, ACCOMPANIMENT} if residual in (VOCALS, ACCOMPANIMENT) else set(stems)
    np.testing.assert_allclose(sum(stems[part] for part in parts), mixture, atol=1e-6)


def test_chunks_meet_without_a_seam(smoke_model: Model) -> None:
    """A model that consumes context estimates a recording in chunks as it does as a whole."""
    if smoke_model.context == 0:
        pytest.skip("consumes no context")
    if type(smoke_model).__name__ == "StridedWaveUNet":
        pytest.skip("its group norms look at the whole chunk")
    separator = Separator(smoke_model, device="cpu", precision="fp32")
    length = 4 * separator.settings.chunk + 17
    mixture = 0.1 * torch.randn(smoke_model.audio_channels, length)
    stems = separator.separate(mixture.numpy(), smoke_model.sample_rate)
    # After the end as many zeros as fill the last chunk.
    context, after = smoke_model.context, separator.settings.chunk
    whole = torch.nn.functional.pad(mixture, (context, context + after))
    with torch.inference_mode():
        expected = smoke_model(whole[None])[0, :, :, :length]
    vocals = expected[smoke_model.stems.index(VOCALS)].numpy()
    np.testing.assert_allclose(stems[VOCALS], vocals, atol=1e-5)


@pytest.mark.parametrize("recipe_name", of_each_part(), scope="session")
def test_sixteen_bits_are_close(smoke_model: Model, excerpt: Path) -> None:
    """Every architecture runs in what ``auto`` may choose; errors are those of the precision."""
    song, rate = read_audio(excerpt)
    mixture = song[:, 400000:406000]
    full = separated(smoke_model, mixture, rate)[VOCALS]
    separator = Separator(smoke_model, device="cpu", precision="bf16")
    half = separator.separate(mixture, rate)[VOCALS]
    assert np.abs(half - full).mean() < 0.1 * np.abs(mixture).mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_any_number_of_audio_channels(recipe: Recipe, channels: int) -> None:
    model = build(recipe.architecture, recipe.model | recipe.smoke | {"audio_channels": channels})
    mixture = 0.1 * torch.randn(1, channels, _length(model))
    with torch.inference_mode():
        estimates = model.eval()(mixture)
    assert estimates.shape == (1, len(model.stems), channels, mixture.shape[-1] - 2 * model.context)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("wiener", [None, 1])
def test_the_gpu_agrees(smoke_model: Model, excerpt: Path, wiener: int | None) -> None:
    """Through the separator: the GPU's stems are the processor's, and they sum to the recording."""
    if wiener and not isinstance(smoke_model, SpectrogramModel):
        pytest.skip("masks no frames")
    if wiener:
        settings = smoke_model.config.model_copy(update={"wiener": wiener})
        twin = type(smoke_model)(settings)
        twin.load_state_dict(smoke_model.state_dict())
        smoke_model = twin.eval()
    song, rate = read_audio(excerpt)
    mixture = song[:, 400000:406000]
    here = separated(smoke_model, mixture, rate)[VOCALS]
    there = Separator(smoke_model, device="cuda", precision="fp32").separate(mixture, rate)
    np.testing.assert_allclose(there[VOCALS], here, atol=1e-3)
    automatic = Separator(smoke_model, device="cuda", precision="auto").separate(mixture, rate)
    total = automatic[VOCALS] + automatic[ACCOMPANIMENT]
    np.testing.assert_allclose(total, mixture, atol=1e-6)


def separated(
    model: Model, mixture: NDArray[np.float32], sample_rate: int = 44100
) -> dict[str, NDArray[np.float32]]:
    """Return the stems of a recording, by way of the separator."""
    return Separator(model, device="cpu", precision="fp32").separate(mixture, sample_rate)


def _length(model: Model) -> int:
    """Return the length of a mixture of which the model makes a chunk."""
    return model.chunk + 2 * model.context


def _two_sounds(model: Model) -> Tensor:
    """Return references ``[1, max(S, 2), C, N]``: a high tone, a low one, and silence."""
    position = torch.arange(_length(model))
    swell = 0.6 + 0.4 * torch.sin(2 * torch.pi * position / len(position))
    references = torch.zeros(1, max(len(model.stems), 2), model.audio_channels, len(position))
    references[:, 0] = 0.4 * swell * torch.sin(2 * torch.pi * 0.27 * position)
    references[:, 1] = 0.4 * swell * torch.sin(2 * torch.pi * 0.06 * position)
    return references


def test_unknown_architecture_lists_the_choices() -> None:
    with pytest.raises(ModelError, match=r"choose from .*unet"):
        build("u-net", {})
    with pytest.raises(ModelError, match=r"choose from .*unet"):
        config_type("u-net")


def test_unknown_setting_names_file_and_key() -> None:
    with pytest.raises(ConfigError, match=r"my\.toml: widht: unknown key; choose from .*width"):
        build("unet", {"widht": 3}, "my.toml")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        register("unet", UNetConfig)(UNet)
