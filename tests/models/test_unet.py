"""The U-Net against the facts of its paper."""

import pytest
import torch

from unmix.errors import ConfigError
from unmix.models import build
from unmix.models.unet import UNet, UNetConfig

PAPER = {
    "audio_channels": 1,
    "sample_rate": 8192,
    "n_fft": 1024,
    "hop_length": 768,
    "input_exponent": 1.0,
    "level": "max",
    "frequency_plane": False,
}


def test_the_papers_network_has_the_papers_parameters() -> None:
    model = build("unet", PAPER)
    assert sum(p.numel() for p in model.parameters()) == 9_823_313
    assert model.chunk == 127 * 768  # 128 frames: about 11 s at 8192 Hz


def test_the_papers_input_is_in_zero_to_one() -> None:
    model = UNet(UNetConfig(**PAPER))
    frames = model.stft(torch.randn(2, 1, 5000))
    features = model._features(frames.abs())
    assert features.amin() >= 0
    torch.testing.assert_close(features.amax((1, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("kernel", [3, 4, 5, 7])
@pytest.mark.parametrize("stems", [("vocals",), ("vocals", "drums", "bass")])
def test_free_depth_kernel_and_stems(depth: int, kernel: int, stems: tuple[str, ...]) -> None:
    model = build(
        "unet",
        {
            "n_fft": 128,
            "hop_length": 32,
            "depth": depth,
            "kernel": kernel,
            "width": 2,
            "stems": stems,
        },
    ).eval()
    mask = model.predict_mask(model.stft(torch.randn(1, 2, 999)))
    assert mask.shape == (1, len(stems), 2, 65, model.stft.frame_count(999))
    assert ((mask >= 0) & (mask <= 1)).all()
    assert mask[..., 0, :].abs().max() == 0  # nothing at 0 Hz is a voice


def test_the_ceiling_scales_every_mask() -> None:
    small = {"n_fft": 128, "hop_length": 32, "depth": 2, "width": 2}
    full, low = (build("unet", small | {"ceiling": c}).eval() for c in (1.0, 0.9))
    low.load_state_dict(full.state_dict())
    frames = full.stft(torch.randn(1, 2, 999))
    torch.testing.assert_close(low.predict_mask(frames), 0.9 * full.predict_mask(frames))


def test_direct_current_is_no_voice() -> None:
    torch.manual_seed(0)
    model = build("unet", {"n_fft": 1024, "hop_length": 256, "width": 2, "depth": 2}).eval()
    with torch.inference_mode():
        vocals = model(torch.full((1, 2, 44100), 0.5))[..., 2000:-2000]
    # What is left of 0.5 is the first bin's share of the window's main lobe, at most 0.25.
    assert vocals.abs().max() < 0.25


def test_silence_around_it_does_not_make_a_sound_look_soft() -> None:
    """The features of a short clip are the same however far it is filled up with zeros."""
    model = UNet(UNetConfig(n_fft=256, hop_length=64, width=2, depth=2))
    clip = torch.randn(1, 2, 64 * 10)
    frames = model.stft(clip)[:, :, 1:].abs()
    padded = torch.nn.functional.pad(frames, (0, 100))
    features = model._features(frames)
    torch.testing.assert_close(model._features(padded)[..., : frames.shape[-1]], features)


@pytest.mark.parametrize(
    "wrong", [{"depth": 0}, {"kernel": 6}, {"stems": []}, {"hop_length": 5000}]
)
def test_refuses_what_cannot_work(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        build("unet", wrong)
