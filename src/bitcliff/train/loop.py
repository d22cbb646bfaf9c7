"""One training loop for all stages: steps, checkpoints, resuming, stopping.

Whatever is random in a step follows from the seed and the step's number, so that a run that was
killed and resumed ends in the same bits as one that was not.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor, nn

from bitcliff.errors import InputError, NumericError
from bitcliff.train.checkpoint import Checkpoint, Checkpoints
from bitcliff.train.hardware import ALONE, Hardware
from bitcliff.train.optimiser import (
    OptimiserConfig,
    optimiser_tensors,
    restore_optimiser,
    set_lr,
)
from bitcliff.train.order import batch_indices, seed_of, steps_in_epoch
from bitcliff.types.value import Value

Metrics = dict[str, float]


@dataclass(frozen=True)
class Validation:
    """How good a stage is after an epoch; `score` orders epochs, larger is better."""

    score: tuple[float, ...]
    metrics: Metrics


@runtime_checkable
class Stage(Protocol):
    """What is trained, and towards what."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """All that is trained and saved, by name."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the training examples."""

    def loss(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        """The loss of these examples, and its parts."""

    def validate(self) -> Validation:
        """On the validation split."""


class LoopConfig(Value):
    """How long and how fast.

    Attributes:
        epochs, batch_size: an epoch is all whole batches.
        save_every: steps between checkpoints; one is written at each epoch's end in any case.
        stop_after: end once so many epochs in a row were no better than the best before them: a
            robust pair that has converged, a brittle one that lost parity and does not regain it.
            0 for never. The best epoch's weights are kept in any case.
    """

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=64, ge=1)
    save_every: int = Field(default=200, ge=1)
    stop_after: int = Field(default=0, ge=0)
    optimiser: OptimiserConfig = OptimiserConfig()


# Of a batch, where an error names its examples.
_SHOWN = 16


class Stopped(Exception):
    """The run was asked to stop; its checkpoint is written."""


@dataclass(frozen=True)
class Hooks:
    """Who hears of the run, and who may stop it.

    Attributes:
        on_step: step, steps in all, the loss's parts. on_epoch: epoch, step, validation metrics.
        on_note: a line about something out of the ordinary. should_stop: asked after each step.
    """

    on_step: Callable[[int, int, Metrics], None] = lambda _step, _steps, _metrics: None
    on_epoch: Callable[[int, int, Metrics], None] = lambda _epoch, _step, _metrics: None
    on_note: Callable[[str], None] = lambda _line: None
    should_stop: Callable[[], bool] = lambda: False


_NO_HOOKS = Hooks()


class Loop:
    """A stage in training; `run` goes on from the newest checkpoint there is.

    Every random choice follows from the seed and the step, and from the rank where several
    processes train one network. Those take equal steps; the first alone saves.
    """

    def __init__(
        self,
        stage: Stage,
        config: LoopConfig,
        checkpoints: Checkpoints,
        seed: int = 0,
        hardware: Hardware = ALONE,
    ) -> None:
        self.stage, self.config, self.checkpoints, self.seed = stage, config, checkpoints, seed
        self.hardware = hardware
        self.step = 0
        self.best_score: tuple[float, ...] | None = None
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0
        parameters = [p for network in stage.networks.values() for p in network.parameters()]
        self._optimiser = config.optimiser.build(parameters)

    @property
    def steps_in_epoch(self) -> int:
        """Whole batches."""
        return steps_in_epoch(len(self.stage.ids), self.config.batch_size)

    @property
    def steps(self) -> int:
        """In all."""
        return self.config.epochs * self.steps_in_epoch

    @property
    def epoch(self) -> int:
        """How many have ended."""
        return self.step // self.steps_in_epoch

    @property
    def is_done(self) -> bool:
        """Whether all epochs have ended, or enough of them without getting better."""
        patience = self.config.stop_after
        given_up = 0 < patience <= self.epoch - self.best_epoch
        # Not in the midst of an epoch, where a run may be that was resumed with other settings.
        return self.step >= self.steps or (given_up and self.step % self.steps_in_epoch == 0)

    def run(self, hooks: Hooks = _NO_HOOKS) -> None:
        """Train to the end, then load the best epoch's weights into the networks.

        Raises:
            Stopped: `should_stop` asked for it; a checkpoint is written.
            NumericError: the loss is no number; the text names step, examples and checkpoint.
            InputError: a checkpoint cannot be written or does not fit.
        """
        self._resume(hooks)
        while not self.is_done:
            metrics = self._one_step_or_save()
            self.step += 1
            hooks.on_step(self.step, self.steps, metrics)
            ended = self.step % self.steps_in_epoch == 0
            if ended:
                self._end_epoch(hooks)
            stopping = self.hardware.any(hooks.should_stop())
            if ended or stopping or self.step % self.config.save_every == 0:
                self._save()
            if stopping:
                raise Stopped
        if self.step < self.steps:
            hooks.on_note(
                f"ended after epoch {self.epoch} of {self.config.epochs}: no better since epoch "
                f"{self.best_epoch}"
            )
        for name, network in self.stage.networks.items():
            network.load_state_dict(_part(self.best, name))

    def _one_step_or_save(self) -> Metrics:
        try:
            return self._one_step()
        except InputError as error:
            if not self.step:  # nothing to keep: it may be the configuration that is to be mended
                raise
            # Such as an endpoint that went down: nothing has moved in this step.
            self._save()
            raise InputError(f"{error}; saved: go on with --resume") from error

    def _one_step(self) -> Metrics:
        config = self.config
        epoch, step = divmod(self.step, self.steps_in_epoch)
        index = batch_indices(len(self.stage.ids), config.batch_size, self.seed, epoch, step)
        set_lr(self._optimiser, config.optimiser.lr_at(self.step, self.steps))
        loss, metrics = self._loss_of_all(index)
        if self.hardware.any(not math.isfinite(loss.item())):
            self._fail(index)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._agree()
        self._optimiser.step()
        return metrics

    def _loss_of_all(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        """This process's loss, once it is known that none failed: the others would wait for it."""
        failed, found = None, None
        try:
            found = self._loss(index)
        except InputError as error:
            failed = error
        if self.hardware.any(found is None) or found is None:
            raise failed or InputError("another process failed; its own line gives the reason")
        return found

    def _loss(self, index: Int[Tensor, " batch"]) -> tuple[Tensor, Metrics]:
        share = self.hardware.share(index)
        # Draws of its own for each process, or all would see their images alike.
        position = (self.step, self.hardware.rank) if self.hardware.rank else (self.step,)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.seed, "step", *position))
            loss, metrics = self.stage.loss(share)
        # The mean over the batch, when averaged over the processes, whatever their shares.
        weight = len(share) * self.hardware.size / len(index)
        return (loss if weight == 1 else loss * weight), metrics

    def _agree(self) -> None:
        """Average over the processes what each found on its share: gradients and statistics."""
        networks = self.stage.networks.values()
        gradients = [p.grad for net in networks for p in net.parameters() if p.grad is not None]
        statistics = [b for net in networks for b in net.buffers() if b.is_floating_point()]
        self.hardware.average([*gradients, *statistics])

    def _fail(self, index: Int[Tensor, " batch"]) -> None:
        if not self.hardware.first:
            raise Stopped  # the first process reports
        newest, _ = self.checkpoints.newest()
        kept = f"the last good checkpoint is of step {newest.step}" if newest else "none was saved"
        shown = [self.stage.ids[example] for example in index[:_SHOWN].tolist()]
        more = f" and {len(index) - _SHOWN} more" if len(index) > _SHOWN else ""
        ids = ", ".join(shown) + more
        raise NumericError(
            f"the loss is not a number at step {self.step + 1}; {kept}; examples: {ids}"
        )

    def _end_epoch(self, hooks: Hooks) -> None:
        validation = self.stage.validate()
        if self.best_score is None or validation.score > self.best_score:
            self.best_score, self.best_epoch = validation.score, self.epoch
            self.best = {name: tensor.clone() for name, tensor in self._weights().items()}
        hooks.on_epoch(self.epoch, self.step, validation.metrics)

    def _weights(self) -> dict[str, Tensor]:
        return {
            f"{name}/{key}": value
            for name, network in self.stage.networks.items()
            for key, value in network.state_dict().items()
        }

    def _save(self) -> None:
        if not self.hardware.first:
            return
        tensors = {f"networks/{name}": value for name, value in self._weights().items()}
        state = optimiser_tensors(self._optimiser)
        tensors |= {f"optimiser/{name}": value for name, value in state.items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        best = {"best_score": self.best_score, "best_epoch": self.best_epoch}
        self.checkpoints.save(Checkpoint(self.step, tensors, best))

    def _resume(self, hooks: Hooks) -> None:
        checkpoint, damaged = self.checkpoints.newest()
        for line in damaged:
            hooks.on_note(line)
        if checkpoint is None:
            if damaged:
                hooks.on_note("no whole checkpoint is left: beginning again")
            return
        weights = _part(checkpoint.tensors, "networks")
        try:
            for name, network in self.stage.networks.items():
                network.load_state_dict(_part(weights, name))
        except RuntimeError as error:
            raise InputError(
                "the checkpoint is of another network; give a new --out or the old config"
            ) from error
        restore_optimiser(self._optimiser, _part(checkpoint.tensors, "optimiser"))
        self.best = _part(checkpoint.tensors, "best")
        score = checkpoint.state["best_score"]
        self.best_score = None if score is None else tuple(score)
        self.best_epoch = checkpoint.state.get("best_epoch", 0)
        self.step = checkpoint.step
        hooks.on_note(f"going on after step {self.step} of {self.steps}")


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those below a name, without it."""
    start = f"{name}/"
    return {key[len(start) :]: value for key, value in tensors.items() if key.startswith(start)}
