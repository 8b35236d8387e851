"""Checkpoints of Wave-U-Net-Pytorch: the same estimates, and wrong files refused."""

import json
import os
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unmix import load_model
from unmix.errors import ModelError
from unmix.models.wave_unet_strided import low_pass
from unmix.weights.converters import convert_weights

NAME = "wave-unet-strided"
STEMS = ("drums", "vocals")
WIDTHS = (8, 16, 32)


def _fill(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the weights that the fixtures were made with, by the name of the tensor."""
    if name.endswith(("upconv.filter", "downconv.filter")):
        return low_pass(4).expand(shape).clone()
    count = int(np.prod(shape))
    noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(count)
    if len(shape) > 1:
        noise *= 0.7 / np.sqrt(count / shape[0])
    else:
        noise = 1 + 0.1 * noise if name.endswith("norm.weight") else 0.05 * noise
    return torch.from_numpy(noise.reshape(shape).astype(np.float32))


def _shapes(widths: tuple[int, ...] = WIDTHS) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a small network's tensors, as in the public code."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, width_in: int, width_out: int) -> None:
        shapes[f"{name}.filter.weight"] = (width_out, width_in, 5)
        for kind in ("filter.bias", "norm.weight", "norm.bias"):
            shapes[f"{name}.{kind}"] = (width_out,)

    for stem in STEMS:
        first = f"waveunets.{stem}."
        for i, (narrow, wide) in enumerate(pairwise(widths)):
            block = f"{first}downsampling_blocks.{i}."
            convolution(f"{block}pre_shortcut_convs.0", narrow if i else 2, narrow)
            convolution(f"{block}post_shortcut_convs.0", narrow, wide)
            shapes[f"{block}downconv.filter"] = (wide, 1, 15)
        narrowing = widths[::-1]
        for i, (wide, narrow) in enumerate(pairwise(narrowing)):
            block = f"{first}upsampling_blocks.{i}."
            shapes[f"{block}upconv.filter"] = (wide, 1, 15)
            convolution(f"{block}pre_shortcut_convs.0", wide, narrow)
            convolution(f"{block}post_shortcut_convs.0", 2 * narrow, narrow)
        convolution(f"{first}bottlenecks.0", widths[-1], widths[-1])
        shapes[f"{first}output_conv.weight"] = (2, widths[0], 1)
        shapes[f"{first}output_conv.bias"] = (2,)
    return shapes


def _weights() -> dict[str, Tensor]:
    return {name: _fill(name, shape) for name, shape in _shapes().items()}


def _save(path: Path, weights: dict[str, Any], **more: Any) -> Path:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([parameter], lr=np.float64(1e-3))  # theirs comes out of np.cos
    parameter.sum().backward()
    optimizer.step()
    state = {"step": 7, "worse_epochs": 0, "epochs": 1, "best_loss": np.float64(0.1)}
    torch.save(
        {
            "model_state_dict": weights,
            "optimizer_state_dict": optimizer.state_dict(),
            "state": state,
        }
        | more,
        path,
    )
    return path


@pytest.mark.slow
def test_agrees_with_the_public_code(shared: Path, tmp_path: Path) -> None:
    parity = shared / "parity"
    keys = json.loads((parity / "waveunet_pytorch_default.keys.json").read_text())
    weights = {entry["key"]: _fill(entry["key"], tuple(entry["shape"])) for entry in keys}
    fill = json.loads((parity / "waveunet_pytorch_default.fill.json").read_text())["fill"]
    for entry in fill:
        assert float(weights[entry["key"]].double().sum()) == pytest.approx(entry["sum"], abs=1e-3)
    done = convert_weights(_save(tmp_path / "model", weights), NAME, tmp_path / "w.safetensors")
    assert done.stems == ("bass", "drums", "other", "vocals")
    assert done.parameters == 69_910_152
    del weights
    model = load_model(done.path)

    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: object, inputs: object, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    vocals = model.networks[3]
    for i in (2, 3, 4):
        vocals.encoder[i].register_forward_hook(keep(f"inter_vocals_down{i}"))
    vocals.bottleneck.register_forward_hook(keep("inter_vocals_bottleneck"))
    for i in (0, 1):
        vocals.decoder[i].register_forward_hook(keep(f"inter_vocals_up{i}"))

    held = np.load(parity / "waveunet_pytorch_default.npz")
    mixture = torch.from_numpy(held["model_input"])[None]
    assert mixture.shape[-1] == model.chunk + 2 * model.context
    with torch.inference_mode():
        estimates = model(mixture)[0]
    for stem, estimate in zip(model.stems, estimates, strict=True):
        expected = held[f"output_{stem}"]
        np.testing.assert_allclose(estimate[:, : expected.shape[-1]], expected, atol=1e-4, rtol=0)
    for name in (name for name in held.files if name.startswith("inter_")):
        values = seen[name][0] if seen[name].ndim == 3 else seen[name]
        np.testing.assert_allclose(values, held[name], atol=1e-4, rtol=0)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_size_and_stems_from_the_file(tmp_path: Path, prefix: str) -> None:
    weights = _weights()
    source = _save(tmp_path / "model", {prefix + name: t for name, t in weights.items()})
    done = convert_weights(source, NAME, tmp_path / "w.safetensors")
    model = load_model(done.path)
    assert model.stems == STEMS
    config = model.config
    assert (config.width, config.depth, config.kernel, config.stride) == (8, 3, 5, 4)
    assert torch.equal(
        model.networks[1].decoder[0].after[0].weight,
        weights["waveunets.vocals.upsampling_blocks.0.post_shortcut_convs.0.filter.weight"],
    )
    filters = sum(t.numel() for name, t in weights.items() if name.endswith("conv.filter"))
    assert done.parameters == sum(t.numel() for t in weights.values()) - filters


def test_reads_older_checkpoints(tmp_path: Path) -> None:
    """They have "step" in place of "state", and PyTorch's format before 1.6."""
    path = tmp_path / "model"
    content = {"model_state_dict": _weights(), "step": np.float64(3)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert convert_weights(path, NAME, tmp_path / "w.safetensors").stems == STEMS


class _Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def test_never_runs_what_a_file_contains(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    source = _save(tmp_path / "model", _weights(), state=_Malicious(trace))
    with pytest.raises(ModelError, match=r"Wave-U-Net-Pytorch .* code, which is refused"):
        convert_weights(source, NAME, tmp_path / "w.safetensors")
    assert not trace.exists()
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize("kept", [0, 100, 0.3, 0.95])
def test_refuses_truncated_files(tmp_path: Path, kept: float) -> None:
    source = _save(tmp_path / "model", _weights())
    content = source.read_bytes()
    source.write_bytes(content[: int(kept if kept >= 1 else kept * len(content))])
    with pytest.raises(ModelError, match=r"model: expected a checkpoint of Wave-U-Net-Pytorch"):
        convert_weights(source, NAME, tmp_path / "w.safetensors")


def _without(part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in _weights().items() if part not in name}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "fixed low-pass filters"),
        ({"a": 3}, "fixed low-pass filters"),
        (_without("conv.filter"), "fixed low-pass filters"),
        ({n: t * 2 if n.endswith("upconv.filter") else t for n, t in _weights().items()}, "fixed"),
        (_without("output_conv"), r"waveunets\.vocals\.output_conv\.bias"),
        (_without("vocals.bottlenecks"), r"missing: waveunets\.vocals\.bottlenecks\.0\.filter"),
        (_weights() | {"waveunets.drums.norm": torch.zeros(1)}, r"not expected: .*drums\.norm"),
        (
            _weights() | {"waveunets.drums.output_conv.weight": torch.zeros(4, 8, 1)},
            r"output_conv\.weight has shape \(4, 8, 1\), not \(2, 8, 1\)",
        ),
    ],
    ids=["empty", "numbers", "no taps", "other taps", "no outputs", "part", "more", "shape"],
)
def test_refuses_other_networks(tmp_path: Path, weights: dict[str, Any], message: str) -> None:
    source = _save(tmp_path / "model", weights)
    with pytest.raises(ModelError, match=message):
        convert_weights(source, NAME, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def test_refuses_other_checkpoints(tmp_path: Path) -> None:
    torch.save({"state_dict": _weights()}, tmp_path / "model")
    with pytest.raises(ModelError, match='no table "model_state_dict"'):
        convert_weights(tmp_path / "model", NAME, tmp_path / "w.safetensors")
