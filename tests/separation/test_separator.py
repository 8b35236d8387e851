"""The contract of separation: stems of any recording sum to it, sample by sample."""

import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import unmix
from unmix.errors import Cancelled, UnmixError
from unmix.models import Model, build
from unmix.separation.separator import QUALITIES
from unmix.songs.separator import Separator

SMALL = {"n_fft": 256, "hop_length": 64, "frames": 32, "width": 4, "depth": 3}


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return build("unet", SMALL).eval()


@pytest.fixture(scope="module")
def separator(model: Model) -> Separator:
    return Separator(model, device="cpu")


def _noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return 0.2 * np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_stems_have_the_recordings_shape_and_sum_to_it(
    separator: Separator, channels: int, sample_rate: int
) -> None:
    mixture = _noise(channels, 12345)
    stems = separator.separate(mixture, sample_rate)
    assert tuple(stems) == separator.stems == ("vocals", "accompaniment")
    assert all(stem.shape == mixture.shape for stem in stems.values())
    assert all(stem.dtype == np.float32 for stem in stems.values())
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    assert all(np.square(stem).mean() > 1e-6 for stem in stems.values())


@pytest.mark.parametrize("length", [0, 1, 2, 100, 4097])
@pytest.mark.parametrize("sample_rate", [44100, 48000, 11025])
def test_any_length(separator: Separator, length: int, sample_rate: int) -> None:
    mixture = _noise(2, length)
    stems = separator.separate(mixture, sample_rate)
    assert all(stem.shape == mixture.shape for stem in stems.values())
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [44100, 48000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_blocks_do_not_change_a_bit(separator: Separator, channels: int, sample_rate: int) -> None:
    mixture = _noise(channels, 30000)
    whole = separator.separate(mixture, sample_rate)
    cuts = sorted(np.random.default_rng(1).integers(0, 30000, 9))
    pieces = list(separator.stream(np.split(mixture, cuts, 1), sample_rate))
    for name, stem in whole.items():
        np.testing.assert_array_equal(np.concatenate([piece[name] for piece in pieces], 1), stem)


def test_silence_stays_silence_and_mono_is_a_shape(separator: Separator) -> None:
    for sample_rate in (44100, 48000):
        stems = separator.separate(np.zeros(5000, np.float32), sample_rate)
        assert all(stem.shape == (5000,) and not stem.any() for stem in stems.values())


def test_mono_is_separated_as_two_equal_channels(separator: Separator) -> None:
    mono = _noise(20000)
    stereo = np.stack([mono, mono])
    one, two = separator.separate(mono, 44100), separator.separate(stereo, 44100)
    np.testing.assert_allclose(one["vocals"], two["vocals"].mean(0), atol=1e-6)


def test_surround_pairs_are_separated_as_stereo(separator: Separator) -> None:
    surround = _noise(6, 20000)
    stems = separator.separate(surround, 44100)
    front = separator.separate(surround[:2], 44100)
    np.testing.assert_array_equal(stems["vocals"][:2], front["vocals"])


def test_nan_and_infinity_count_as_zero(separator: Separator) -> None:
    mixture = _noise(2, 9000)
    broken = mixture.copy()
    broken[0, 100], broken[1, 200], broken[0, 300] = np.nan, np.inf, -np.inf
    before = broken.copy()
    repaired = np.nan_to_num(broken, nan=0, posinf=0, neginf=0)
    stems = separator.separate(broken, 44100)
    np.testing.assert_array_equal(broken, before)
    np.testing.assert_allclose(sum(stems.values()), repaired, atol=1e-6)


def test_samples_far_above_full_scale_are_kept(separator: Separator) -> None:
    mixture = 50 * _noise(2, 9000)
    np.testing.assert_allclose(sum(separator.separate(mixture, 44100).values()), mixture, atol=1e-5)


def test_the_accompaniment_holds_what_is_above_the_models_band(separator: Separator) -> None:
    """A model at 44.1 kHz cannot see a tone at 30 kHz."""
    tone = 0.5 * np.sin(2 * np.pi * 30000 / 96000 * np.arange(48000)).astype(np.float32)
    stems = separator.separate(np.stack([tone, tone]), 96000)
    assert np.abs(stems["vocals"][:, 4000:-4000]).max() < 1e-4
    np.testing.assert_allclose(sum(stems.values())[0], tone, atol=1e-6)


def test_separating_twice_gives_the_same_bits_from_any_thread(separator: Separator) -> None:
    mixture = _noise(2, 30000)
    first = separator.separate(mixture, 44100)
    results: list[dict[str, NDArray[np.float32]]] = []
    threads = [
        threading.Thread(target=lambda: results.append(separator.separate(mixture, 44100)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    for result in results:
        np.testing.assert_array_equal(result["vocals"], first["vocals"])


def test_progress_rises_to_one_and_can_cancel(separator: Separator) -> None:
    fractions: list[float] = []
    separator.separate(_noise(2, 600_000), 44100, progress=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 2

    def stop(_: float) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        separator.separate(_noise(2, 600_000), 44100, progress=stop)


@pytest.mark.parametrize("quality", sorted(QUALITIES))
def test_every_quality_keeps_the_contract(model: Model, quality: str) -> None:
    mixture = _noise(2, 20000)
    stems = Separator(model, device="cpu", quality=quality).separate(mixture, 44100)
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)


def test_16_bit_precision_costs_next_to_nothing(model: Model) -> None:
    """bf16 moves the vocals of a random network by less than -40 dB of their level."""
    mixture = _noise(2, 40000)
    full = Separator(model, device="cpu", precision="fp32").separate(mixture, 44100)["vocals"]
    half = Separator(model, device="cpu", precision="bf16").separate(mixture, 44100)["vocals"]
    error = np.square(full - half).sum() / np.square(full).sum()
    assert 0 < error < 1e-4


def test_the_function_separate(model: Model) -> None:
    mixture = _noise(2, 5000)
    stems = unmix.separate(mixture, 44100, model=model, device="cpu")
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    with pytest.raises(UnmixError, match="sample_rate"):
        unmix.separate(mixture, model=model)


def test_the_function_separate_chooses_the_model_by_the_stems() -> None:
    """Vocals, drums, bass and other sum to the song, and so do drums and all but the drums."""
    mixture = _noise(2, 44100)
    stems = unmix.separate(
        mixture, 44100, stems=["vocals", "drums", "bass", "other", "no_drums"], quality="fast"
    )
    no_drums = stems.pop("no_drums")
    assert tuple(stems) == ("vocals", "drums", "bass", "other")
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
    np.testing.assert_allclose(no_drums + stems["drums"], mixture, atol=1e-6)
    with pytest.raises(UnmixError, match="no model of the package gives piano"):
        unmix.separate(mixture, 44100, stems="piano")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "superb"}, "fast, balanced, best"),
        ({"device": "abacus"}, "auto, cpu, cuda"),
        ({"device": "cuda:99"}, "not available"),
        ({"precision": "fp8"}, "auto, fp32"),
        ({"overlap": 1.0}, "overlap"),
        ({"chunk": 0.0}, "at least 1"),
    ],
)
def test_a_wrong_option_lists_the_choices(
    model: Model, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UnmixError, match=message):
        Separator(model, **{"device": "cpu", **options})


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 2, 9), np.float32), np.zeros(9, np.int64), np.zeros((5000, 2), "f4")]
)
def test_refuses_unclear_layouts(separator: Separator, samples: NDArray[np.float32]) -> None:
    with pytest.raises(UnmixError, match="expected samples"):
        separator.separate(samples, 44100)


@pytest.mark.parametrize("block", [np.zeros(20000, "f4"), np.zeros((20000, 2), "f4")])
def test_a_stream_refuses_unclear_layouts(separator: Separator, block: NDArray[np.float32]) -> None:
    with pytest.raises(UnmixError, match="expected samples"):
        list(separator.stream([block], 44100))


@pytest.mark.parametrize("sample_rate", [0, -1, 44100.5])
def test_refuses_invalid_sample_rates(separator: Separator, sample_rate: int) -> None:
    with pytest.raises(UnmixError, match="sample rate"):
        separator.separate(_noise(2, 100), sample_rate)


def test_samples_near_the_largest_float_give_finite_stems(separator: Separator) -> None:
    stems = separator.separate(np.full((2, 5000), 3e38, np.float32), 44100)
    assert all(np.isfinite(stem).all() for stem in stems.values())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_cuda_agrees_with_the_cpu(model: Model) -> None:
    mixture = _noise(2, 40000)
    gpu = Separator(model, device="cuda", precision="fp32").separate(mixture, 44100)
    cpu = Separator(model, device="cpu", precision="fp32").separate(mixture, 44100)
    np.testing.assert_allclose(gpu["vocals"], cpu["vocals"], atol=1e-3)
