"""Batches of a run: which items each process computes at each step, and how they are loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..data import Corpus, CorpusConfig, RandomMixtures, open_corpus
from ..models import Model
from .config import TrainConfig
from .distributed import is_main_process
from .interrupts import exit_quietly_on_signals
from .run import Run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """What a process computes at once."""

    items: tuple[int, ...]
    """Their indices in the stream."""
    references: Tensor
    """``[B, S, C, N]``: the model's stems, in its order, then the rest of the mixture where they
    are not all of it; with the context that the model consumes."""
    band: Tensor | None
    """Hz up to which each item's references hold, ``[B]``; None where all hold all."""


def batches(
    run: Run,
    model: Model,
    device: torch.device,
    *,
    first: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> Iterator[Batch]:
    """Yield one process's batches, ``accumulate`` for every step, from step ``first`` to the last.

    Args:
        run: what is trained, from what.
        model: whose stems, rate and length the items have.
        device: where the batches go.
        first: steps done already. Items depend on their index alone, so a resumed run takes up the
            stream at the exact item.
        rank: which process this is.
        processes: how many there are.
    """

    def keys() -> Iterator[list[int]]:
        config = run.train
        for part in range(first * config.accumulate, config.steps * config.accumulate):
            yield list(items_of(config, part, rank, processes))

    loader: DataLoader[dict[str, Tensor]] = DataLoader(
        open_mixtures(run, model, processes),
        batch_sampler=keys(),
        num_workers=run.workers,
        persistent_workers=False,
        prefetch_factor=4 if run.workers else None,
        pin_memory=device.type == "cuda",
        # Its own: drawing from torch's would move the stream that a checkpoint has to restore.
        generator=torch.Generator(),
        # Forked workers would inherit torch's threads and locks.
        multiprocessing_context="spawn" if run.workers else None,
        worker_init_fn=exit_quietly_on_signals,
    )
    for items, item in zip(keys(), loader, strict=True):
        references, band = item["references"], item["band"]
        limited = bool((band < model.sample_rate / 2).any())
        yield Batch(
            tuple(items),
            references.to(device, non_blocking=True),
            band.to(device, non_blocking=True) if limited else None,
        )


def items_of(config: TrainConfig, part: int, rank: int, processes: int) -> range:
    """Return the indices of a process's ``part``-th batch: neighbours are those of its fellows."""
    start = (part * processes + rank) * config.batch_size
    return range(start, start + config.batch_size)


def open_mixtures(run: Run, model: Model, processes: int = 1) -> RandomMixtures:
    """Return the stream of items that a run trains its model on."""
    config = run.train
    return RandomMixtures(
        open_corpora(config.corpora, run, model.stems),
        config.mixing,
        sample_rate=model.sample_rate,
        channels=model.audio_channels,
        length=(config.excerpt or model.chunk) + 2 * model.context,
        seed=config.seed,
        items=config.steps * config.accumulate * config.batch_size * processes,
        stems=model.stems,
    )


def open_corpora(
    corpora: Sequence[CorpusConfig], run: Run, stems: Sequence[str] = ()
) -> list[Corpus]:
    """Open corpora of a run; its first process names every file that is left out, once."""
    opened = [open_corpus(corpus, run.data, stems) for corpus in corpora]
    reasons = (skipped.reason for corpus in opened for skipped in corpus.skipped)
    if is_main_process():
        for reason in dict.fromkeys(reasons):
            _log.warning("%s; left out", reason)
    return opened


def seed_from(*numbers: int) -> int:
    """Return a seed that is another one for other numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
