"""Torchaudio's files of Hybrid Demucs: converted to the bit."""

from pathlib import Path

import pytest
import torch
from torchaudio.models import HDemucs

from unmix import load_model
from unmix.errors import ModelError
from unmix.weights.converters import convert_weights


def test_imports_what_torchaudio_saves(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = HDemucs(["drums", "bass", "other", "vocals"], channels=8, nfft=1024, depth=5).eval()
    torch.save(theirs.state_dict(), tmp_path / "hdemucs.pt")
    done = convert_weights(tmp_path / "hdemucs.pt", "hybrid-demucs", tmp_path / "w.safetensors")
    assert done.stems == ("drums", "bass", "other", "vocals")
    ours = load_model(done.path)
    assert (ours.config.width, ours.config.n_fft) == (8, 1024)
    mixture = 0.1 * torch.randn(1, 2, 6000)
    with torch.inference_mode():
        assert torch.equal(ours(mixture), theirs(mixture))


def test_other_files_are_told_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("nonsense")
    with pytest.raises(ModelError, match=r"expected the weights of torchaudio's Hybrid Demucs"):
        convert_weights(tmp_path / "text.pt", "hybrid-demucs", tmp_path / "w.safetensors")


def test_other_sources_are_refused(tmp_path: Path) -> None:
    theirs = HDemucs(["vocals", "other"], channels=8, nfft=1024, depth=5)
    torch.save(theirs.state_dict(), tmp_path / "two.pt")
    with pytest.raises(ModelError, match=r"two\.pt: does not fit the weights of torchaudio's"):
        convert_weights(tmp_path / "two.pt", "hybrid-demucs", tmp_path / "w.safetensors")
    torch.save({"something": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"freq_emb\.embedding\.weight.* not found among"):
        convert_weights(tmp_path / "other.pt", "hybrid-demucs", tmp_path / "w.safetensors")
