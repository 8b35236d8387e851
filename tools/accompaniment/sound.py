"""Sound: parts rendered by FluidSynth, balanced, in one room."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator

from unmix._types import Samples
from unmix.audio import open_audio
from unmix.errors import UnmixError
from unmix.training.augment.chance import Chance
from unmix.training.augment.config import ReverbConfig
from unmix.training.augment.reverb import add_reverb

from .midi import Part, write_midi

SOUNDFONTS = ("/usr/share/sounds/sf2/default-GM.sf2", "/usr/share/sounds/sf2/FluidR3_GM.sf2")
REMEDY = "on Debian: apt-get install fluidsynth fluid-soundfont-gm"
#: Range of the level of each stem, and level of the mixture, in dB.
BALANCE = {"drums": (-5.0, 1.0), "bass": (-6.0, 0.0), "other": (-3.0, 3.0)}
LOUDNESS = -16.0


def find_soundfont(wanted: Path | None) -> Path:
    """Return the SoundFont to render with.

    Raises:
        UnmixError: if FluidSynth or the SoundFont is missing.
    """
    if shutil.which("fluidsynth") is None:
        raise UnmixError(f"rendering needs the program fluidsynth; {REMEDY}")
    places = [wanted] if wanted else [Path(place) for place in SOUNDFONTS]
    for place in places:
        if place.is_file():
            return place
    raise UnmixError(f"no SoundFont at {' or '.join(map(str, places))}; {REMEDY}")


def play(parts: Sequence[Part], soundfont: Path, scratch: Path, sample_rate: int) -> Samples:
    """Return the dry sound of parts ``[2, N]``."""
    if not any(part.notes for part in parts):
        return np.zeros((2, 0), np.float32)
    midi, sound = scratch / "part.mid", scratch / "part.wav"
    midi.write_bytes(write_midi(parts))
    command = ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.3", "-T", "wav"]
    command += ["-O", "float", "-r", str(sample_rate), "-F", str(sound), str(soundfont), str(midi)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not sound.is_file():
        raise UnmixError(f"fluidsynth failed: {(done.stderr.strip() or 'no reason given')[-300:]}")
    with open_audio(sound) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1)
    sound.unlink()
    return samples


def mix(stems: dict[str, Samples], sample_rate: int, random: Generator) -> dict[str, Samples]:
    """Return stems of one length, balanced, in one room, their sum as loud as a song."""
    length = max(samples.shape[1] for samples in stems.values())
    decay, wet = float(random.uniform(0.2, 0.6)), float(random.uniform(-26, -14))
    room = ReverbConfig(decay=(decay, decay), decibels=(wet, wet))
    seed = int(random.integers(2**31))
    mixed = {}
    for stem, samples in stems.items():
        share = _gain(random.uniform(*BALANCE[stem])) / (_level(samples) or 1.0)
        padded = np.pad(samples, ((0, 0), (0, length - samples.shape[1])))
        mixed[stem] = in_room(padded * np.float32(share), room, sample_rate, seed)
    mixture = np.sum(list(mixed.values()), axis=0)
    peak = max(float(np.abs(samples).max()) for samples in (mixture, *mixed.values()))
    gain = np.float32(min(_gain(LOUDNESS) / (_level(mixture) or 1.0), 0.95 / (peak or 1.0)))
    return {stem: samples * gain for stem, samples in mixed.items()}


def in_room(samples: Samples, room: ReverbConfig, sample_rate: int, seed: int) -> Samples:
    """Return samples ``[2, N]`` with reverberation; settings and seed define the room."""
    block, tail = 30 * sample_rate, sample_rate
    heard = np.zeros((2, samples.shape[1] + tail), np.float32)
    for start in range(0, samples.shape[1], block):
        piece = np.pad(samples[:, start : start + block], ((0, 0), (0, tail)))
        chance = Chance(torch.Generator().manual_seed(seed), torch.device("cpu"))
        there = add_reverb(torch.from_numpy(piece)[None, None], room, sample_rate, chance)
        heard[:, start : start + piece.shape[1]] += there[0, 0].numpy()
    return heard[:, : samples.shape[1]]


def _level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))
