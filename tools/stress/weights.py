"""Small whole files of weights, and the readers that take them: seeds for the mutator."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from unmix.models import build
from unmix.recipes.reading import find_architecture
from unmix.weights.archive import unpack
from unmix.weights.converters import converters
from unmix.weights.converters._torch_file import read_tensors
from unmix.weights.load import load_model, save_weights

from .commands import foreign_archive
from .pool import Outcome
from .seeds import Seed

_RECIPE = "unet-16khz"
_ARCHIVED = "model"


def weight_seeds() -> Iterator[Seed]:
    """Yield weights of one small model in the formats of this project, Chainer and PyTorch."""
    choice = find_architecture(_RECIPE)
    settings = {**choice.model, "n_fft": 64, "hop_length": 32, "frames": 8, "widths": [2, 3]}
    model = build(choice.architecture, settings)
    state = model.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        save_weights(path, choice.architecture, settings, state, "none")
        own = path.read_bytes()
    yield Seed("weights.safetensors", own, promises=False)
    yield Seed("weights.npz", foreign_archive(model, choice.architecture), promises=False)
    file = io.BytesIO()
    torch.save(state, file)
    yield Seed("weights.pth", file.getvalue(), promises=False)
    for mode, ending in (("w", "tar"), ("w:gz", "tgz")):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo(f"folder/{_ARCHIVED}.data")
            member.size = len(own)
            tar.addfile(member, io.BytesIO(own))
        yield Seed(f"weights.{ending}", file.getvalue(), promises=False)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(f"folder/{_ARCHIVED}.data", own)
    yield Seed("weights.zip", file.getvalue(), promises=False)


def read_weights(path: Path) -> Outcome:
    """Read weights in the way that a file's ending asks for.

    Raises:
        UnmixError: the file is refused.
    """
    if path.suffix == ".safetensors":
        load_model(path)
    elif path.suffix == ".npz":
        converters()[find_architecture(_RECIPE).architecture].read(path)
    elif path.suffix == ".pth":
        read_tensors(path, "weights")
    else:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unpack(path, _ARCHIVED, Path(folder))
    return Outcome("done")
