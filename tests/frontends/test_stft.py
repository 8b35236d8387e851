"""Laws of the transform: exact inverse at any length, linearity, frequencies."""

import librosa
import numpy as np
import pytest
import torch

from unmix.frontends import STFT, Padding

PADDINGS: list[Padding] = ["zeros", "reflect", "full"]

SHAPES = [
    (4096, 1024),
    (2048, 441),
    (1024, 768),
    (1024, 512),
    (1024, 256),
    (512, 110),
    (64, 16),
    (7, 3),
    (2, 1),
]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("n_fft", "hop_length"), SHAPES)
@pytest.mark.parametrize("length", [1, 2, 100, 1023, 1024, 1025, 20011])
def test_inverse_returns_the_signal(
    n_fft: int, hop_length: int, length: int, padding: Padding
) -> None:
    stft = STFT(n_fft, hop_length, padding)
    samples = 0.3 * torch.randn(2, 3, length, generator=torch.Generator().manual_seed(length))
    frames = stft(samples)
    assert frames.shape == (2, 3, stft.bins, stft.frame_count(length))
    assert (stft.inverse(frames, length) - samples).abs().max() < 1e-6


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("n_fft", "hop_length"), SHAPES)
def test_inverse_is_exact_in_float64(n_fft: int, hop_length: int, padding: Padding) -> None:
    stft = STFT(n_fft, hop_length, padding)
    samples = (
        torch.rand(5000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    )
    # The window is rounded to float32 in both directions alike.
    assert (stft.inverse(stft(samples), 5000) - samples).abs().max() < 1e-12


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("n_fft", "hop_length"), [(4096, 1024), (1024, 256), (512, 110)])
def test_length_fills_the_frames(n_fft: int, hop_length: int, padding: Padding) -> None:
    stft = STFT(n_fft, hop_length, padding)
    length = stft.length(20)
    assert stft.frame_count(length) == 20
    assert stft.frame_count(length + (0 if padding == "reflect" else 1)) == 20 + (
        padding != "reflect"
    )


@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 441), (512, 110), (1024, 256)])
@pytest.mark.parametrize("length", [2100, 4410, 9999])
def test_reflected_frames_are_librosas(n_fft: int, hop_length: int, length: int) -> None:
    samples = torch.randn(length, generator=torch.Generator().manual_seed(0))
    frames = STFT(n_fft, hop_length, "reflect")(samples)
    theirs = librosa.stft(
        samples.numpy(), n_fft=n_fft, hop_length=hop_length, pad_mode="reflect", center=True
    )
    assert frames.shape == theirs.shape
    np.testing.assert_allclose(frames.numpy(), theirs, atol=1e-4)


def test_full_frames_begin_a_window_before_the_signal() -> None:
    """As in Spleeter, the first frame sees only silence."""
    stft = STFT(64, 16, "full")
    samples = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    frames = stft(samples)
    assert frames.shape[-1] == -(-1064 // 16)
    assert frames[:, 0].abs().max() == 0
    expected = torch.fft.rfft(samples[16:80] * stft.window)
    torch.testing.assert_close(frames[:, 5], expected, atol=1e-5, rtol=0)


def test_any_leading_axes() -> None:
    stft = STFT(64, 16)
    samples = torch.randn(2, 1, 3, 2, 500)
    frames = stft(samples)
    torch.testing.assert_close(frames[1, 0, 2, 1], stft(samples[1, 0, 2, 1]))
    torch.testing.assert_close(stft.inverse(frames, 500), samples, atol=1e-6, rtol=0)


def test_linear_and_silent() -> None:
    stft = STFT(256, 64)
    a, b = torch.randn(2, 1000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(stft(2 * a - b), 2 * stft(a) - stft(b), atol=1e-4, rtol=0)
    assert stft(torch.zeros(1000)).abs().max() == 0


def test_a_sine_is_in_its_bin() -> None:
    stft = STFT(1024, 256)
    sine = torch.sin(2 * np.pi * 100 / 1024 * torch.arange(8192, dtype=torch.float64))
    middle = stft(sine)[:, 16].abs()
    assert middle.argmax() == 100
    assert middle[100] == pytest.approx(256, rel=1e-6)  # half the sum of the window
    assert stft.frequencies(44100)[100] == pytest.approx(4306.64, abs=0.01)


@pytest.mark.parametrize(("n_fft", "hop_length"), [(1024, 1024), (1024, 0), (1, 1), (1024, 1020)])
def test_refuses_hops_without_an_inverse(n_fft: int, hop_length: int) -> None:
    with pytest.raises(ValueError, match="hop_length"):
        STFT(n_fft, hop_length)


def test_refuses_wrong_shapes() -> None:
    stft = STFT(64, 16)
    with pytest.raises(ValueError, match="at least one sample"):
        stft(torch.zeros(2, 0))
    with pytest.raises(ValueError, match="expected frames"):
        stft.inverse(torch.zeros(33, 4, dtype=torch.complex64), 1000)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_same_on_cuda() -> None:
    stft = STFT(4096, 1024)
    samples = 0.3 * torch.randn(4, 2, 50000)
    on_gpu = stft.cuda()(samples.cuda())
    torch.testing.assert_close(on_gpu.cpu(), stft.cpu()(samples), atol=1e-3, rtol=1e-4)
    back = stft.cuda().inverse(on_gpu, 50000).cpu()
    assert (back - samples).abs().max() < 2e-6
