"""The main job on one file: separate it, and look at what it leaves."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from unmix import UnmixError
from unmix._types import Samples
from unmix.audio import FORMATS, OutputFormat, read_audio
from unmix.songs.render import StemSeparator
from unmix.songs.separate import SeparatedFile, StemOptions, plan_stems, write_stems
from unmix.stems import ACCOMPANIMENT, VOCALS

from .pool import Case, Outcome

#: Formats that libsndfile decodes to the end, or says that it cannot.
_SOUNDFILE = (".wav", ".flac", ".aiff", ".ogg", ".opus")


#: Name of the model that takes no time.
HALVING = "halving"
#: The smallest released model.
TINY = "tfc-tdf-tiny"


class HalvingSeparator:
    """Has a separator's interface, and takes no time: half of everything is vocals."""

    stems = (VOCALS, ACCOMPANIMENT)
    model_name = HALVING

    def stream(self, blocks: Iterable[Samples], sample_rate: int) -> Iterator[dict[str, Samples]]:
        """Yield the stems of each block."""
        if sample_rate < 1:
            raise ValueError(f"a sample rate of {sample_rate} Hz")
        for block in blocks:
            vocals = block * np.float32(0.5)
            yield {VOCALS: vocals, ACCOMPANIMENT: block - vocals}


@cache
def separator_of(model: str) -> StemSeparator:
    """Return the separator of a model, or the one that halves; each is loaded once."""
    if model == HALVING:
        return HalvingSeparator()
    import torch

    from unmix import Separator

    torch.set_num_threads(1)
    return Separator(model, device="cpu", quality="fast")


def tried(work: Callable[[], Outcome]) -> Outcome:
    """Return what came of some work: its outcome, a sentence, or a traceback."""
    try:
        return work()
    except UnmixError as error:
        return Outcome("refused", str(error))
    except Exception:
        return Outcome("traceback", traceback.format_exc())


def separate_case(case: Case, folder: Path, separator: StemSeparator | None = None) -> Outcome:
    """Separate a file in an empty folder, which is empty again at the end.

    Args:
        case: the file; its job is "MODEL" or "MODEL:FORMAT".
        folder: a folder of this process.
        separator: separates in place of the job's model.
    """
    song = folder / case.name
    model, _, name = case.job.partition(":")
    try:
        song.write_bytes(case.data)
        return separate_song(separator or separator_of(model), song, folder / "out", name or "wav")
    finally:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def separate_song(
    separator: StemSeparator,
    song: Path,
    out: Path,
    name: str,
    during: AbstractContextManager[None] | None = None,
) -> Outcome:
    """Separate a song into a folder, and look at what is in the folder and beside the song.

    Args:
        separator: what separates.
        song: the song.
        out: the folder.
        name: format of the stems.
        during: what holds while the song is separated, and no longer when it is looked at.
    """
    options = StemOptions(format=OutputFormat.parse(name))
    result: SeparatedFile | None = None

    def work() -> Outcome:
        nonlocal result
        with during or nullcontext():
            result = write_stems(separator, plan_stems(separator, song, out, options))
        return Outcome(
            "done",
            "; ".join(result.warnings),
            seconds=result.seconds,
            warned=bool(result.warnings),
        )

    outcome = tried(work)
    wrong: list[str] = []
    if result is not None:
        wrong += [fault_of(path, result.samples) for path in result.stems.values()]
    left = leftovers(out, 0 if result is None else len(separator.stems))
    left += leftovers(song.parent, 0, song, below=out)
    return replace(outcome, partial=tuple(filter(None, (*wrong, *left))))


def fault_of(path: Path, samples: int) -> str:
    """Return what is wrong with an output that should have so many samples, "" if nothing is."""
    if not path.is_file():
        return f"{path.name} is missing"
    try:
        held = length_of(path) if samples else read_audio(path)[0].shape[1]
    except Exception as error:
        return f"{path.name} cannot be read: {error}"
    return "" if held == samples else f"{path.name} has {held} samples, not {samples}"


def length_of(path: Path) -> int:
    """Return how many samples a file has, by decoding it; libsndfile opens no empty FLAC."""
    if path.suffix in _SOUNDFILE:
        with soundfile.SoundFile(path) as file:
            return sum(len(block) for block in file.blocks(65536, dtype="float32"))
    return int(read_audio(path)[0].shape[1])


def leftovers(folder: Path, wanted: int, *known: Path, below: Path | None = None) -> list[str]:
    """Return the files in a folder that are neither known nor outputs, or that are too many.

    Args:
        folder: the folder, and those in it.
        wanted: number of outputs that should be there.
        known: files that were there before.
        below: a folder in it that is looked at apart.
    """
    paths = [path for path in folder.rglob("*") if below not in (path, *path.parents)]
    files = [path for path in paths if path.is_file() and path not in known]
    hidden = [path for path in paths if any(part.startswith(".unmix-") for part in path.parts)]
    outputs = [p for p in files if p not in hidden and p.suffix.removeprefix(".") in FORMATS]
    odd = [path for path in files if path not in outputs]
    if len(outputs) != wanted:
        odd += outputs
    return sorted({f"{path.relative_to(folder)} is left" for path in (*odd, *hidden)})
