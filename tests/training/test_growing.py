"""A grown network computes the same function, and all of it learns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from unmix.errors import ModelError, UnmixError
from unmix.models import Model, build
from unmix.training.checkpoint import load_checkpoint
from unmix.training.growing import grow
from unmix.training.loop import train

SMALL = {"sample_rate": 8000, "n_fft": 128, "hop_length": 32, "frames": 16, "depth": 2}
TFC_TDF = {
    "width": 4,
    "growth": "linear",
    "skip": "multiply",
    "mask": "complex",
    "block": {"kind": "tfc-tdf", "layers": 1, "tdf_factor": 2},
    "features": {"kind": "complex", "subbands": 2},
}
PLAIN = {"width": 4, "block": {"kind": "plain"}}
GROUPS = {"skip": "add", "block": {"kind": "plain", "norm": "group"}}
MORE_LAYERS = {"block": TFC_TDF["block"] | {"layers": [1, 3, 2]}}
#: Architecture, settings, and what is more.
GROWING = [
    ("modular-unet", TFC_TDF, {"width": 6}),
    ("modular-unet", TFC_TDF, {"growth": "double"}),
    ("modular-unet", TFC_TDF | {"skip": "add"}, {"width": 5}),
    ("modular-unet", TFC_TDF, MORE_LAYERS),
    ("modular-unet", TFC_TDF, MORE_LAYERS | {"width": 5}),
    ("modular-unet", TFC_TDF, {"stems": ["vocals", "drums", "bass", "other"], "width": 6}),
    ("modular-unet", {"width": 4, "skip": "add", "block": {"norm": "instance"}}, {"width": 8}),
]


def _made(architecture: str, settings: dict[str, Any], seed: int) -> Model:
    torch.manual_seed(seed)
    model = build(architecture, SMALL | settings, "test")
    model.train()
    with torch.no_grad():  # norms that are not those of a fresh model
        model(torch.randn(2, 2, model.chunk))
    return model.eval()


@pytest.mark.parametrize(("architecture", "settings", "wider"), GROWING)
def test_it_computes_the_same_and_all_of_it_learns(
    architecture: str, settings: dict[str, Any], wider: dict[str, Any]
) -> None:
    source = _made(architecture, settings, 1)
    held = {name: value.clone() for name, value in source.state_dict().items()}
    model = _made(architecture, settings | wider, 2)
    grow(source, model)
    for name, value in source.state_dict().items():
        assert torch.equal(value, held[name]), name
    mixture = torch.randn(1, 2, 3000, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        before = source(mixture)
        after = model(mixture)[:, : before.shape[1]]
        torch.testing.assert_close(after, before, rtol=0, atol=1e-5 * before.abs().max())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(6):  # enough for what nobody heard at first to be heard
        optimizer.zero_grad()
        model(mixture).square().mean().backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        new = torch.ones_like(parameter, dtype=torch.bool)
        if name in held:
            new[tuple(slice(size) for size in held[name].shape)] = False
        assert not new.any() or parameter.grad[new].ne(0).any(), name


def test_new_stems_share_what_the_old_ones_leave() -> None:
    """All of them sum to the mixture, but for the bin at 0 Hz, which has no mask."""
    source = _made("modular-unet", TFC_TDF, 1)
    model = _made("modular-unet", TFC_TDF | {"stems": ["vocals", "drums", "bass"]}, 2)
    grow(source, model)
    mixture = torch.randn(1, 2, 3000, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        frames = model.stft(mixture)
        estimates = model.estimate_frames(frames)
    torch.testing.assert_close(estimates[:, 1], estimates[:, 2])
    torch.testing.assert_close(estimates.sum(1)[:, :, 1:], frames[:, :, 1:], rtol=0, atol=1e-4)


def test_new_stems_need_complex_masks() -> None:
    source = _made("modular-unet", PLAIN, 1)
    model = _made("modular-unet", PLAIN | {"stems": ["vocals", "drums"]}, 2)
    with pytest.raises(ModelError, match="complex masks can grow more stems"):
        grow(source, model)


@pytest.mark.parametrize(
    ("architecture", "settings", "other", "match"),
    [
        ("modular-unet", TFC_TDF, {"width": 3}, "does not fit"),
        ("modular-unet", TFC_TDF, {"depth": 1}, "only one of the two models has"),
        ("modular-unet", TFC_TDF | MORE_LAYERS, TFC_TDF, "only one of the two models has"),
        ("modular-unet", PLAIN, {"block": PLAIN["block"] | {"layers": 3}}, "only one of"),
        ("modular-unet", TFC_TDF, {"stems": ("drums",)}, "stems is"),
        ("modular-unet", TFC_TDF, {"sample_rate": 16000}, "sample_rate is"),
        ("modular-unet", TFC_TDF, {"block": {"kind": "plain"}}, "only one of the two models has"),
        # Its norms count the bins in between with the others.
        ("modular-unet", TFC_TDF, {"block": TFC_TDF["block"] | {"tdf_factor": 1}}, "not compute"),
        # Groups of maps are others when there are more.
        ("modular-unet", PLAIN | GROUPS, {"width": 12}, "not compute"),
        # Their skips are side by side.
        ("modular-unet", PLAIN, {"width": 8}, "not compute"),
        ("unet", {"width": 4}, {"width": 8}, "not compute"),
    ],
)
def test_what_cannot_grow_is_refused(
    architecture: str, settings: dict[str, Any], other: dict[str, Any], match: str
) -> None:
    model = _made(architecture, settings | other, 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ModelError, match=match):
        grow(_made(architecture, settings, 1), model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_run_grows_where_its_recipe_says_so(make_run: Callable[..., Any], log: type[Any]) -> None:
    still = {"steps": 1, "learning_rate": 1e-12, "warmup": 0, "weight_decay": 0.0}

    def run(out: str, wider: dict[str, Any], **changes: Any) -> Path:
        settings = SMALL | TFC_TDF | wider
        return train(make_run(out, architecture="modular-unet", model=settings, **changes), log())

    first = run("first", {}, steps=3, ema=0.0)
    with pytest.raises(UnmixError, match=r"first.*do not fit the recipe: .*; give --init"):
        run("second", {"width": 6}, **still, init=str(first))
    grown = run("third", {"width": 6}, **still, init=str(first), grow=True)
    before, after = load_checkpoint(first)["average"], load_checkpoint(grown)["model"]
    run("third", {"width": 6}, **still | {"steps": 2}, grow=False, resume=True)
    weight = "skeleton.stem.weight"
    torch.testing.assert_close(after[weight][:4], before[weight], atol=1e-6, rtol=0)
    with pytest.raises(
        UnmixError, match=r"first.*does not fit .*; give --init .* or narrower, or .* layers"
    ):
        run("fourth", {"width": 2}, **still, init=str(first), grow=True)
