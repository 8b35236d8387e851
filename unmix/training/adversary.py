"""The semi-supervised training objective, with its critics and their unpaired batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import DataLoader

from ..data.unpaired import UnpairedExcerpts, UnpairedKey, UnpairedStems
from ..errors import ConfigError
from ..frontends import STFT
from ..models import Model
from ..models.adversarial import Critic
from ..stems import ACCOMPANIMENT, MIXTURE, VOCALS
from .batches import open_corpora, seed_from
from .config import LossConfig, SemiSupervisedConfig
from .interrupts import exit_quietly_on_signals
from .losses import band_weight
from .nonfinite import fault
from .run import Run
from .semisupervised import adversarial_loss, consistency_loss, critic_loss, supervised_loss

# First number of the seeds used here, so that they differ from those of other streams.
_CRITICS, _SHARES, _EXCERPTS = range(1001, 1004)


class LogMagnitudeModel(Protocol):
    """A model that can be trained with critics; see ``models.adversarial``."""

    stft: STFT

    def log_magnitudes(self, frames: Tensor) -> Tensor:
        """Return ``log(1 + magnitude)`` of all stems ``[B, S, C, F, T]``, from mixture frames."""


class LogEstimator(nn.Module):
    """The part of a model that is trained: mixture frames to log magnitudes of the stems."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> Tensor:
        """Return estimates ``[B, S, C, F, T]`` of frames ``[B, C, F, T]``, with fewer frames."""
        return cast(LogMagnitudeModel, self.model).log_magnitudes(frames)


class Adversary:
    """The loss of paired and unpaired recordings; called like ``Objective``.

    With ``alpha`` and ``beta`` of 0 it is the paper's supervised baseline, without critics and
    unpaired recordings.

    Args:
        run: the run.
        model: the model in training.
        fabric: fabric of this process.

    Raises:
        ConfigError: the model does not support critics, or a corpus would mislead them.
    """

    def __init__(self, run: Run, model: Model, fabric: Fabric) -> None:
        config = run.train.semi_supervised
        assert config is not None
        _check(run, model, config)
        self._run, self._model, self._fabric, self._config = run, model, fabric, config
        self._stft = cast(LogMagnitudeModel, model).stft
        # Frames at either end whose windows extend beyond the samples.
        self._cut = -(-(self._stft.n_fft // 2) // self._stft.hop_length)
        self._length = run.train.excerpt or model.chunk
        frames = self._stft.frame_count(self._length)
        stems = model.stems if config.alpha else ()
        shape = (self._stft.bins - 1, frames - 2, config.critic_width)
        self.critics = _critics(stems, shape, run.train.seed)
        self.critics.to(fabric.device).requires_grad_(False)
        self.optimizer: Adam | None = None
        if config.alpha:
            self.optimizer = Adam(self.critics.parameters(), config.critic_learning_rate)
        self._stream: Iterator[dict[str, Tensor]] | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """Critics and their optimizer, for checkpoints."""
        if self.optimizer is None:
            return {}
        return {"critics": self.critics, "critic_optimizer": self.optimizer}

    def __call__(self, network: Any, references: Tensor, band: Tensor | None) -> Tensor:
        """Return the separator's loss of a batch, a scalar, as in ``Objective``.

        A batch of unpaired mixtures is added. Both go through the network in one pass, because
        processes average their gradients after each pass.
        """
        config, count = self._config, len(references)
        mixtures = references.sum(1)
        if self._unpaired:
            mixtures = torch.cat([mixtures, self._next()[MIXTURE]])
        frames = self._frames(mixtures)
        estimates = network(frames).float()
        wanted = self._inner(torch.log1p(self._frames(references).abs()), estimates)
        weight = None if band is None else band_weight(band, self._stft, self._model.sample_rate)
        loss = supervised_loss(estimates[:count], wanted, weight)
        unknown = estimates[count:]
        if config.alpha:
            critics = [self.critics[stem] for stem in self._model.stems]
            fakes = [_judged(unknown[:, row]) for row in range(len(critics))]
            loss = loss + config.alpha * adversarial_loss(critics, fakes)
        if config.beta:
            magnitudes = self._inner(frames[count:].abs(), estimates)
            loss = loss + config.beta * consistency_loss(unknown, magnitudes)
        return loss

    def train_critics(self, network: Any, step: int) -> str | None:
        """Train the critics on new batches, before step ``step + 1`` of the separator.

        Batches whose loss or gradient is not finite are skipped.

        Args:
            network: the ``LogEstimator`` of the model, possibly wrapped.
            step: number of steps done; decides the position in the unpaired stream.

        Returns:
            What was wrong with the last skipped batch; None if there was none.
        """
        if self._stream is None and self._unpaired:
            self._stream = self._batches(step)
        if self.optimizer is None:
            return None
        wrong = None
        generator = torch.Generator().manual_seed(seed_from(_SHARES, self._run.train.seed, step))
        self.critics.requires_grad_(True)
        for _ in range(self._config.critic_steps):
            loss = self._critics_loss(network, self._next(), generator)
            self.optimizer.zero_grad()
            loss.backward()
            found = fault(*self._joined(loss.detach()), scaled=False)
            if found is None:
                self.optimizer.step()
            else:
                wrong = f"of the critics, {found}"
        self.critics.requires_grad_(False)
        return wrong

    def _critics_loss(
        self, network: Any, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        """Return the sum of the critics' losses of an unpaired batch, a scalar."""
        with torch.no_grad():
            estimates = network(self._frames(batch[MIXTURE])).float()
        losses = []
        for row, stem in enumerate(self._model.stems):
            fake = _judged(estimates[:, row])
            real = _judged(torch.log1p(self._frames(batch[stem]).abs()))
            shares = self._shares(len(real), generator).to(real.device)
            critic, penalty = self.critics[stem], self._config.penalty
            losses.append(critic_loss(critic, real, fake, shares, penalty))
        return torch.stack(losses).sum()

    @property
    def _unpaired(self) -> bool:
        return bool(self._config.alpha or self._config.beta)

    def _frames(self, samples: Tensor) -> Tensor:
        """Return the frames ``[..., F, T]`` whose windows lie inside the samples ``[..., N]``."""
        frames: Tensor = self._stft(samples)
        return frames[..., self._cut : -self._cut]

    def _inner(self, values: Tensor, like: Tensor) -> Tensor:
        """Return as many middle frames as ``like`` has."""
        before = (values.shape[-1] - like.shape[-1]) // 2
        return values[..., before : before + like.shape[-1]]

    def _shares(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw random shares for all processes; return those of this one, ``[count, 1, 1, 1]``.

        They are drawn on the CPU, so that they are the same on every device.
        """
        whole = torch.rand(self._fabric.world_size, count, 1, 1, 1, generator=generator)
        return whole[self._fabric.global_rank]

    def _joined(self, loss: Tensor) -> tuple[float, float]:
        """Average the critics' gradients over processes; return the mean loss and their norm.

        Critics are not wrapped by fabric, because the penalty needs the gradient of their input.
        """
        gradients = []
        for parameter in self.critics.parameters():
            assert parameter.grad is not None
            parameter.grad = self._mean(parameter.grad)
            gradients.append(parameter.grad)
        return float(self._mean(loss)), float(nn.utils.get_total_norm(gradients))

    def _mean(self, value: Tensor) -> Tensor:
        """Return the mean over processes."""
        mean = self._fabric.all_reduce(value, reduce_op="mean")
        assert isinstance(mean, Tensor)
        return mean

    def _next(self) -> dict[str, Tensor]:
        assert self._stream is not None
        return next(self._stream)

    def _batches(self, first: int) -> Iterator[dict[str, Tensor]]:
        """Yield this process's unpaired batches from step ``first``: the critics', then its own."""
        run, device = self._run, self._fabric.device
        loader: DataLoader[dict[str, Tensor]] = DataLoader(
            self._open(),
            batch_sampler=self._keys(first),
            num_workers=run.workers,
            prefetch_factor=2 if run.workers else None,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # as in ``batches``
            multiprocessing_context="spawn" if run.workers else None,
            worker_init_fn=exit_quietly_on_signals,
        )
        for batch in loader:
            yield {stem: part.to(device, non_blocking=True) for stem, part in batch.items()}

    def _keys(self, first: int) -> Iterator[list[UnpairedKey]]:
        train, config, fabric = self._run.train, self._config, self._fabric
        turns = [(*self._model.stems, MIXTURE)] * (config.critic_steps if config.alpha else 0)
        turns += [(MIXTURE,)] * train.accumulate
        for batch in range(first * len(turns), train.steps * len(turns)):
            start = (batch * fabric.world_size + fabric.global_rank) * train.batch_size
            wanted = turns[batch % len(turns)]
            yield [(index, wanted) for index in range(start, start + train.batch_size)]

    def _open(self) -> UnpairedStems:
        run, model = self._run, self._model
        corpora = open_corpora(self._config.corpora, run)
        # Stems are judged, not separated: they need no context but that of their windows.
        around = {MIXTURE: model.context}
        stems = (*(model.stems if self._config.alpha else ()), MIXTURE)
        streams = {
            stem: UnpairedExcerpts(
                corpora,
                stem,
                sample_rate=model.sample_rate,
                channels=model.audio_channels,
                length=self._length + 2 * around.get(stem, self._cut * self._stft.hop_length),
                seed=seed_from(_EXCERPTS, run.train.seed, number),
                items=run.train.steps,
                swap_channels=run.train.mixing.swap_channels,
            )
            for number, stem in enumerate(stems)
        }
        return UnpairedStems(streams, run.train.seed)


def _judged(log_magnitude: Tensor) -> Tensor:
    """Return the input of a critic ``[B * C, 1, F - 1, T - 2]`` for a stem ``[B, C, F, T]``.

    Bin 0 and the outermost frames are dropped, for even sizes as in the paper.
    """
    return log_magnitude[..., 1:, 1:-1].flatten(0, 1).unsqueeze(1)


def _critics(stems: Sequence[str], shape: tuple[int, int, int], seed: int) -> nn.ModuleDict:
    """Return one critic per stem of ``shape`` (bins, frames, width); keep torch's random state."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_from(_CRITICS, seed))
        return nn.ModuleDict({stem: Critic(*shape) for stem in stems})


def _check(run: Run, model: Model, config: SemiSupervisedConfig) -> None:
    """Raise a ``ConfigError`` for a run that cannot be trained with critics."""
    name = run.recipe.architecture
    if not hasattr(model, "log_magnitudes"):
        raise ConfigError(
            f"semi_supervised: `{name}` does not estimate log magnitudes; use `adversarial`"
        )
    if set(model.stems) != {VOCALS, ACCOMPANIMENT}:
        raise ConfigError(
            f"semi_supervised: the model needs the stems {VOCALS} and {ACCOMPANIMENT}"
        )
    if run.train.loss != LossConfig():
        raise ConfigError("semi_supervised has its own loss: remove the table [train.loss]")
    for corpus in config.corpora if config.alpha else ():
        judged = corpus.vocals or corpus.accompaniment
        if judged and corpus.band and corpus.band < model.sample_rate / 2:
            raise ConfigError(
                f"semi_supervised: corpus {corpus.path} ends at {corpus.band:g} Hz, which critics "
                f"would recognise; use recordings up to {model.sample_rate / 2:g} Hz"
            )
