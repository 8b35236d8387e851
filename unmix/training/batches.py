"""The batches of a run: which items each process gets at each step, and their loading."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..data import Corpus, CorpusConfig, RandomMixtures, open_corpus
from ..data.left_out import warn_of
from ..models import Model
from .config import TrainConfig
from .distributed import is_main_process
from .interrupts import exit_quietly_on_signals
from .run import Run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """One batch of one process."""

    items: tuple[int, ...]
    """Indices of the items in the stream."""
    references: Tensor
    """``[B, S, C, N]``: the model's stems, then the residual of the mixture if there is one;
    including the model's context."""
    band: Tensor | None
    """Bandwidth of each item's references in Hz, ``[B]``; None: unlimited."""


def batches(
    run: Run,
    model: Model,
    device: torch.device,
    *,
    first: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> Iterator[Batch]:
    """Yield the batches of one process, ``accumulate`` per step, from step ``first`` to the last.

    Args:
        run: the run.
        model: decides the stems, sample rate and length of the items.
        device: device to move batches to.
        first: steps done already. Items depend on their index alone, so a resumed run continues
            with the exact next item.
        rank: rank of this process.
        processes: number of processes.
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
        # Its own generator: drawing from torch's would change the state that checkpoints restore.
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
    """Return the item indices of a process's ``part``-th batch; processes have adjacent ones."""
    start = (part * processes + rank) * config.batch_size
    return range(start, start + config.batch_size)


def open_mixtures(run: Run, model: Model, processes: int = 1) -> RandomMixtures:
    """Return the stream of items that a run trains on."""
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
    """Open the corpora of a run; the main process warns once of each skipped file."""
    opened = [open_corpus(corpus, run.data, stems) for corpus in corpora]
    reasons = (skipped.reason for corpus in opened for skipped in corpus.skipped)
    if is_main_process():
        for reason in dict.fromkeys(reasons):
            _log.warning("%s; skipped", reason)
        for corpus in opened:
            warn_of(run.data / corpus.config.path, corpus.contents.left_out)
    return opened


def seed_from(*numbers: int) -> int:
    """Return a seed that depends on all the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
