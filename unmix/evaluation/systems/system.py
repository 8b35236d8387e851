"""Systems to score: a model, a baseline, or files from any other system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
import torch

from ..._types import Samples
from ...data import StemFile, Track, read_folder
from ...data.left_out import warn_of
from ...data.tracks import common_stems
from ...errors import UnmixError
from ...separation.separator import CUSTOM, RecordingSeparator
from ...stems import ACCOMPANIMENT, INSTRUMENTS, MIXTURE, VOCALS, in_order
from ..signals import REFERENCE, Signals, sum_blocks
from .baselines import Baseline, estimate_blocks

# What other systems call the accompaniment: Demucs, MVSEP, Ultimate Vocal Remover.
_SYNONYMS = {"no_vocals": ACCOMPANIMENT, "instrumental": ACCOMPANIMENT, "instrum": ACCOMPANIMENT}
# Codecs and resamplers change the length by less; otherwise it is another song.
_SECONDS_APART = 0.2


class System(Protocol):
    """Something that estimates the stems of a track."""

    name: str

    @property
    def stems(self) -> tuple[str, ...] | None:
        """Stems that it can estimate; None: any."""

    def describe(self) -> str:
        """Return what a reader of the report should know, beyond its name."""

    def fingerprint(self, track: Track) -> str:
        """Return a text that changes whenever its estimates of a track may change."""

    def estimate(
        self, track: Track, signals: Signals, stems: Sequence[str]
    ) -> Iterator[Mapping[str, Samples]]:
        """Yield estimates of a track in blocks ``[C, n]`` by stem, at the signals' rate."""


class ModelSystem:
    """A model.

    Args:
        separator: separates with the model.
        quality: the separator's quality, for the report.
    """

    def __init__(self, separator: RecordingSeparator, quality: str) -> None:
        self.separator = separator
        self.name = separator.model_name
        self._quality = quality
        self._fingerprint = _of_model(separator)

    @property
    def stems(self) -> tuple[str, ...] | None:
        """The model's stems."""
        return self.separator.stems

    def describe(self) -> str:
        """Return quality, device, and the start of the hash of weights and settings."""
        device = self.separator.device.type
        return f"quality {self._quality}, on {device}, {self._fingerprint[:12]}"

    def fingerprint(self, track: Track) -> str:
        """Return a hash of weights and settings."""
        return self._fingerprint

    def estimate(
        self, track: Track, signals: Signals, stems: Sequence[str]
    ) -> Iterator[Mapping[str, Samples]]:
        """Yield the model's estimates."""
        blocks = (block[MIXTURE] for block in signals.blocks((MIXTURE,)))
        return self.separator.stream(blocks, signals.sample_rate)


class BaselineSystem:
    """A baseline, which may use the references."""

    def __init__(self, name: str, baseline: Baseline) -> None:
        self.name = name
        self._baseline = baseline

    @property
    def stems(self) -> tuple[str, ...] | None:
        """Stems that it can separate; None: any."""
        return self._baseline.stems

    def describe(self) -> str:
        """Return what it is, with the paper."""
        return self._baseline.about

    def fingerprint(self, track: Track) -> str:
        """Return its name; it has no settings."""
        return self.name

    def estimate(
        self, track: Track, signals: Signals, stems: Sequence[str]
    ) -> Iterator[Mapping[str, Samples]]:
        """Yield the baseline's estimates."""
        names = [REFERENCE + stem for stem in stems]
        blocks = (
            (block[MIXTURE], {stem: block[REFERENCE + stem] for stem in stems})
            for block in signals.blocks((MIXTURE, *names))
        )
        return estimate_blocks(self._baseline, blocks, signals.sample_rate)


class SavedEstimates:
    """Estimates in files: a folder per track, a file per stem.

    Args:
        root: folder with a folder per track.
        name: name of the system; default: the folder's.

    Raises:
        UnmixError: the folder does not exist, or has no estimates.
    """

    def __init__(self, root: Path, name: str | None = None) -> None:
        self.root = root
        self.name = name or root.resolve().name
        self.paired: dict[str, Track] = {}
        """Estimates by the name of the track, once ``pair`` has found them."""
        wanted = (VOCALS, ACCOMPANIMENT, *INSTRUMENTS, *_SYNONYMS)
        contents = read_folder(root, wanted, format="stems", strict=True)
        warn_of(root, contents.left_out)
        self._tracks = {track.name: _with_usual_names(track) for track in contents.tracks}

    @property
    def stems(self) -> tuple[str, ...] | None:
        """Stems that every track has."""
        return in_order(common_stems(self._tracks.values()) - {MIXTURE})

    def pair(self, tracks: Sequence[Track]) -> None:
        """Find the estimates of tracks by name, or by its last part.

        Raises:
            UnmixError: the last part of a name stands for several tracks.
        """
        for track in tracks:
            last = Path(track.name).name
            found = [name for name in self._tracks if Path(name).name == last]
            if track.name in self._tracks:
                self.paired[track.name] = self._tracks[track.name]
            elif found:
                alike = [other.name for other in tracks if Path(other.name).name == last]
                if len(alike) > 1 or len(found) > 1:
                    raise UnmixError(
                        f"{self.root}: {last} may be {' or '.join((*alike, *found)[:4])}; arrange "
                        "estimates in the same folders as the references"
                    )
                self.paired[track.name] = self._tracks[found[0]]

    def describe(self) -> str:
        """Return the folder."""
        return str(self.root)

    def fingerprint(self, track: Track) -> str:
        """Return paths, sizes and times of the files."""
        return of_files(self.paired[track.name].stems.values())

    def estimate(
        self, track: Track, signals: Signals, stems: Sequence[str]
    ) -> Iterator[Mapping[str, Samples]]:
        """Yield the estimates in the files."""
        found = self.paired[track.name]
        for file in found.stems.values():
            opus = file.path.suffix.lower() == ".opus"  # is always decoded at 48 kHz
            if file.sample_rate != signals.sample_rate and not opus:
                raise UnmixError(
                    f"{file.path}: has {file.sample_rate} Hz, but its reference has "
                    f"{signals.sample_rate} Hz; resample the estimates"
                )
            if abs(file.seconds - signals.seconds) > _SECONDS_APART:
                raise UnmixError(
                    f"{file.path}: lasts {file.seconds:.2f} s, but its reference lasts "
                    f"{signals.seconds:.2f} s; are they of the same track?"
                )
        rate, channels = signals.sample_rate, signals.audio_channels
        # Only references are rounded, see write_references.
        streams = [sum_blocks(found.terms(stem), rate, channels, rounded=False) for stem in stems]
        empty = np.zeros((channels, 0), np.float32)
        for blocks in zip_longest(*streams, fillvalue=empty):
            yield dict(zip(stems, blocks, strict=True))


def of_files(files: Iterable[StemFile]) -> str:
    """Return paths, sizes and times of the files."""
    stats = [(str(file.path), file.path.stat()) for file in files]
    return repr([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])


def _with_usual_names(track: Track) -> Track:
    return Track(track.name, {_SYNONYMS.get(name, name): f for name, f in track.stems.items()})


def _of_model(separator: RecordingSeparator) -> str:
    """Return a hash of a model's weights and of the settings of separation."""
    if separator.model_name == CUSTOM:
        return uuid4().hex  # its code may have changed: never reuse scores
    digest = sha256(repr(separator.settings).encode())
    model = separator.model
    config: Any = getattr(model, "config", None)
    digest.update(repr((type(model).__name__, config)).encode())
    for name, tensor in model.state_dict().items():
        plain = tensor.detach().cpu().contiguous()
        digest.update(name.encode())
        digest.update(plain.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
