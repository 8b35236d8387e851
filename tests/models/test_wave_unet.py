"""The Wave-U-Net: its authors' numbers, and the laws of valid convolutions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unmix import Separator, load_model
from unmix.errors import ConfigError
from unmix.models import Model, build
from unmix.recipes.reading import find_architecture
from unmix.separation.stream import Separation, SeparationSettings
from unmix.weights.converters import convert_weights

Samples = NDArray[np.float32]

# Recipe of each published network, and the folder of its checkpoint.
PUBLISHED = {
    "M4": ("wave-unet-m4", "baseline_stereo"),
    "M5": ("wave-unet-m5-highsr", "full_44KHz"),
    "M6": ("wave-unet-m6", "full_multi_instrument"),
}
SIGNALS = [("M4", 55125), ("M6", 55125), ("M5", 110250), ("M5", 160000)]


@pytest.fixture(scope="module")
def published(
    shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Model, dict[str, Samples]]]:
    """Return a network with weights from its authors' code, and what that made of a window."""

    def load(tag: str) -> tuple[Model, dict[str, Samples]]:
        recipe, folder = PUBLISHED[tag]
        weights = tmp_path_factory.mktemp(tag) / "weights.safetensors"
        convert_weights(shared / "parity_tf" / f"waveunet_{tag}_reduced" / folder, recipe, weights)
        with np.load(shared / "parity_tf" / f"waveunet_{tag}_reduced_window.npz") as outputs:
            return load_model(weights).eval(), dict(outputs)

    return load


def samples_of(integers: NDArray[np.integer]) -> Samples:
    """Return samples ``[C, N]`` of the fixtures' integers ``[N, C]``."""
    return np.ascontiguousarray((integers.T / 32768).astype(np.float32))


def estimates_of(model: Model, mixture: Samples) -> Samples:
    with torch.inference_mode():
        return model(torch.from_numpy(mixture)[None])[0].numpy()


# --- what the paper and its code say --------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "parameters", "mixture", "estimates", "sample_rate", "channels"),
    [
        ("m1", 10263028, 16384, 16384, 22050, 1),
        ("m2", 10263002, 16384, 16384, 22050, 1),
        ("m3", 10263002, 147443, 16389, 22050, 1),
        ("m4", 10263390, 147443, 16389, 22050, 2),
        ("m5", 10265550, 147443, 16389, 22050, 2),
        ("m5-highsr", 10265550, 147443, 16389, 44100, 2),
        ("m6", 10263498, 147443, 16389, 22050, 2),
        ("m7", 20594652, 233459, 102405, 8192, 1),
    ],
)
def test_the_variants_of_the_paper(
    variant: str, parameters: int, mixture: int, estimates: int, sample_rate: int, channels: int
) -> None:
    recipe = find_architecture(f"wave-unet-{variant}")
    with torch.device("meta"):
        model = build(recipe.architecture, recipe.model)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model.chunk == estimates
    assert model.chunk + 2 * model.context == mixture
    assert model.context in (0, 65527)
    assert (model.sample_rate, model.audio_channels) == (sample_rate, channels)
    stems = ("bass", "drums", "other") if variant == "m6" else ("accompaniment",)
    assert model.stems == (*stems, "vocals")


@pytest.mark.parametrize("tag", PUBLISHED)
def test_a_window_as_the_reference(published: Callable, shared: Path, tag: str) -> None:
    model, expected = published(tag)
    integers = np.load(shared / "parity_tf" / "waveunet_window_input.npz")["input_int16"]
    loud = np.clip(6 * integers.astype(np.int64), -32768, 32767)
    assert model.chunk == 16389
    for train, signal, key, tolerance in [
        (False, integers, "output", 1e-5),
        (False, loud, "loud_output", 2e-5),
        (True, loud, "loud_train_output", 2e-5),
    ]:
        estimates = estimates_of(model.train(train), samples_of(signal))
        assert estimates.shape[-1] == 16389
        for stem, estimate in zip(model.stems, estimates, strict=True):
            reference = expected[f"{key}_{stem}"].T
            ours = estimate[:, : reference.shape[-1]]
            np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("tag", "length"), SIGNALS)
def test_a_recording_as_the_reference(
    published: Callable, shared: Path, tag: str, length: int
) -> None:
    """By its walk over the recording, and by ours wherever the two lie on one grid."""
    model, _ = published(tag)
    integers = np.load(shared / "parity_tf" / "waveunet_signal_input.npz")["input_int16"]
    mixture = samples_of(integers[:length])
    walked = walk(model, mixture)
    separation = Separation(model, SeparationSettings(chunk=16389, overlap=0))
    ours = np.concatenate([*separation.push(mixture), *separation.finish()], -1)
    assert ours.shape == walked.shape
    # The reference moves its last window back, to end with the recording.
    shifted = length - 16389 if length > 147443 else length
    np.testing.assert_allclose(ours[..., :shifted], walked[..., :shifted], rtol=0, atol=1e-6)
    fixture = f"waveunet_{tag}_reduced_signal_{length}.npz"
    with np.load(shared / "parity_tf" / fixture) as expected:
        places = np.concatenate([np.arange(*piece) for piece in expected["slices"]])
        on_grid = places < shifted
        assert on_grid.sum() > 16000
        for rank, stem in enumerate(model.stems):
            reference = expected[f"output_{stem}"].T
            np.testing.assert_allclose(walked[rank][:, places], reference, rtol=0, atol=1e-5)
            np.testing.assert_allclose(
                ours[rank][:, places[on_grid]], reference[:, on_grid], rtol=0, atol=1e-5
            )


def walk(model: Model, mixture: Samples) -> Samples:
    """Separate as the reference does: windows side by side, the last moved back to end in time.

    A recording shorter than the window of the mixture is filled up with zeros first.
    """
    length, chunk, context = mixture.shape[-1], model.chunk, model.context
    missing = max(0, chunk + 2 * context - length)
    padded = np.pad(mixture, ((0, 0), (context, missing + context)))
    whole = length + missing
    estimates = np.zeros((len(model.stems), model.audio_channels, whole), np.float32)
    for start in range(0, whole, chunk):
        begin = min(start, whole - chunk)
        window = padded[:, begin : begin + chunk + 2 * context]
        estimates[..., begin : begin + chunk] = estimates_of(model, window)
    return estimates[..., :length]


@pytest.mark.parametrize("valid", [False, True])
@pytest.mark.parametrize("upsampling", ["linear", "learned"])
@pytest.mark.parametrize("difference", [False, True])
@pytest.mark.parametrize("length", [40, 41, 64])
def test_the_sheet_in_other_words(
    valid: bool, upsampling: str, difference: bool, length: int
) -> None:
    """Written again with loops and without padding modes: there are no fixtures of M1 and M2."""
    torch.manual_seed(0)
    model = small(valid=valid, upsampling=upsampling, difference_output=difference).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn_like(parameter))
    mixture = torch.randn(1, 2, length + 2 * model.context, dtype=torch.float64)
    with torch.inference_mode():
        estimates = model(mixture)[0].numpy()
    np.testing.assert_allclose(estimates, by_hand(model, mixture[0].numpy()), rtol=0, atol=1e-5)


def by_hand(model: Model, mixture: NDArray[np.float64]) -> NDArray[np.float64]:
    config, state = model.config, {k: v.numpy() for k, v in model.state_dict().items()}
    length = mixture.shape[-1] - 2 * model.context
    x = mixture
    if config.valid:
        while not _fits(x.shape[-1], config):
            x = np.pad(x, ((0, 0), (0, 1)))
    else:
        x = np.pad(x, ((0, 0), (0, -length % 2**config.depth)))

    def convolve(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        taps = weight.shape[-1]
        if not config.valid:
            x = np.pad(x, ((0, 0), (taps // 2, taps // 2)))
        columns = [
            np.tensordot(weight, x[:, at : at + taps], 2) for at in range(x.shape[-1] - taps + 1)
        ]
        return np.stack(columns, -1) + bias[:, None]

    def leak(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(x > 0, x, 0.2 * x)

    def middle(x: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        cut = x.shape[-1] - size
        assert cut % 2 == 0
        return x[:, cut // 2 : x.shape[-1] - cut // 2]

    padded, skips = x, []
    for level in range(config.depth):
        skips.append(leak(convolve(x, f"encoder.{level}")))
        x = skips[-1][:, [at for at in range(skips[-1].shape[-1]) if at % 2 == 0]]
    x = leak(convolve(x, "bottleneck"))
    for level in range(config.depth):
        count = x.shape[-1]
        doubled = np.zeros((x.shape[0], 2 * count))
        for at in range(count):
            doubled[:, 2 * at] = x[:, at]
            if config.upsampling == "linear":
                doubled[:, 2 * at + 1] = (x[:, at] + x[:, min(at + 1, count - 1)]) / 2
            else:
                share = 1 / (1 + np.exp(-state[f"upsampling.{level}.weight"][:, 0]))
                after = x[:, at + 1] if at + 1 < count else 0
                doubled[:, 2 * at + 1] = share * x[:, at] + (1 - share) * after
        x = doubled[:, : 2 * count - 1] if config.valid else doubled
        skip = middle(skips.pop(), x.shape[-1])
        x = leak(convolve(np.concatenate([skip, x]), f"decoder.{level}"))
    inner = middle(padded, x.shape[-1])
    layers = len(config.stems) - config.difference_output
    joined = np.concatenate([inner, x])
    stems = [np.tanh(convolve(joined, f"outputs.{rank}")) for rank in range(layers)]
    if config.difference_output:
        stems.append(np.clip(inner - sum(stems), -1, 1))
    return np.stack(stems)[..., :length]


def _fits(size: int, config: object) -> bool:
    """Say whether every level of the encoder has an odd number of samples to decimate."""
    for _ in range(config.depth):
        size -= config.filter_size - 1
        if size % 2 == 0:
            return False
        size = (size + 1) // 2
    return True


# --- laws -----------------------------------------------------------------------------------------


def small(**settings: object) -> Model:
    """Return a small network without padding, unless set: context 55, lengths 1 + 4 n."""
    torch.manual_seed(0)
    return build("wave-unet", {"width": 4, "depth": 2, "output_samples": 256} | settings).eval()


@pytest.mark.parametrize("upsampling", ["linear", "learned"])
def test_chunks_leave_no_seam(upsampling: str) -> None:
    """Estimates do not depend on the chunks, whatever their length, if two things hold.

    Chunks start at multiples of 2^depth, so that decimation keeps the same samples; and they have a
    length that the levels make (1 + 4 n here), so that none is filled up with zeros. So they share
    one sample with the next.
    """
    model = small(upsampling=upsampling, sample_rate=22050)
    mixture = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 9001)).astype(np.float32)

    def vocals(chunk: int, start: int = 0) -> Samples:
        separator = Separator(
            model, device="cpu", precision="fp32", chunk=chunk / 22050, overlap=1 / chunk
        )
        assert separator.settings.chunk == chunk
        assert separator.settings.hop == chunk - 1
        return separator.separate(mixture[:, start:], 22050)["vocals"]

    whole = vocals(10001)
    for chunk in (33, 1025, 4001):
        np.testing.assert_allclose(vocals(chunk), whole, rtol=0, atol=1e-6)
    assert np.abs(vocals(4001, 1) - whole[:, 1:]).max() > 1e-3  # decimation keeps other samples


def test_the_context_is_used_and_is_enough() -> None:
    """The middle of a longer excerpt has the estimates of the excerpt with its context."""
    model = small()
    context = model.context
    assert context == 55
    longer = torch.randn(1, 2, 1000)
    with torch.inference_mode():
        whole = model(longer)
        for start, length in [(0, 101), (8, 61), (400, 1), (120, 257)]:
            part = model(longer[..., start : start + length + 2 * context])
            expected = whole[..., start : start + length]
            torch.testing.assert_close(part, expected, atol=1e-6, rtol=0)


def test_every_sample_of_the_context_counts() -> None:
    model = small()
    mixture = torch.randn(1, 2, 1 + 2 * model.context, requires_grad=True)
    model(mixture)[:, 0].sum().backward()
    assert mixture.grad is not None
    assert mixture.grad[0, 0, 0] != 0
    assert mixture.grad[0, 0, -1] != 0


@pytest.mark.parametrize("length", [257, 258, 259, 260])
def test_zeros_at_the_end_touch_the_last_samples_only(length: int) -> None:
    model = small()
    longer = torch.randn(1, 2, 600)
    with torch.inference_mode():
        whole = model(longer)[..., :length]
        part = model(longer[..., : length + 2 * model.context])
    kept = length - (length - 1) % 4
    torch.testing.assert_close(part[..., :kept], whole[..., :kept], atol=1e-6, rtol=0)


def test_a_difference_is_clipped_when_separating_only() -> None:
    model = small(stems=("bass", "drums", "vocals"))
    mixture = 3 * torch.randn(1, 2, 600)
    inner = mixture[..., model.context : -model.context]
    with torch.inference_mode():
        clipped, free = model(mixture), model.train()(mixture)
    torch.testing.assert_close(free.sum(1), inner)
    assert free[:, -1].abs().max() > 1
    assert torch.equal(clipped[:, :-1], free[:, :-1])
    assert torch.equal(clipped[:, -1], free[:, -1].clamp(-1, 1))


def test_weights_begin_as_glorot_and_bengio_have_them() -> None:
    model = small(upsampling="learned", width=24)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
            continue
        if name.startswith("upsampling"):
            limit = (6 / (2 * parameter.shape[0])) ** 0.5
        else:
            limit = (6 / (parameter.shape[2] * sum(parameter.shape[:2]))) ** 0.5
        assert 0.9 * limit < parameter.abs().max() <= limit, name


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="merge_filter_size: must be odd"):
        small(merge_filter_size=4)
    with pytest.raises(ConfigError, match="difference_output needs at least two stems"):
        small(stems=("vocals",))
    assert small(stems=("vocals",), difference_output=False).stems == ("vocals",)


def test_too_short_for_its_context() -> None:
    with pytest.raises(ValueError, match="expected more than 110 samples, got 110"):
        small()(torch.zeros(1, 2, 110))
