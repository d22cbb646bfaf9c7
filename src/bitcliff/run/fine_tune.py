"""A run's network, fine-tuned for a few epochs to bear rounding: the robust half of a pair."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import safetensors.torch
from torch import Tensor

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.questions.context import Tell
from bitcliff.record import write_bytes_atomic
from bitcliff.run.partial import fingerprint
from bitcliff.train.checkpoint import Checkpoints
from bitcliff.train.data import Split, hold_out
from bitcliff.train.loop import Hooks, Loop, LoopConfig
from bitcliff.train.optimiser import OptimiserConfig
from bitcliff.train.pair import PairStage
from bitcliff.train.pair_settings import PairSettings
from bitcliff.types.subject import Subject
from bitcliff.zoo.shipped import SHIPPED

NETWORK = "network.safetensors"

# As `bitcliff train pair` has them by default.
_VALIDATION = 0.2
_OPTIMISER = OptimiserConfig(kind="adamw", lr=0.001)


def fine_tuner(
    prepared: Prepared, data: str, options: DataOptions, epochs: int, run: Path, tell: Tell
) -> Callable[[float], Subject]:
    """What trains the network that was prepared, at a mean of bits, and saves it beside the run.

    Args:
        data: whose training split to take, read by the options of what was assessed. epochs: how
            many.

    Raises:
        InputError: the data has no training split with labels of its own.
    """
    split = _training_split(prepared, data, options)

    def tune(mean: float) -> Subject:
        stage = _stage(prepared, split, mean)
        folder = run / f"fine-tune-{_name(prepared, split, mean, epochs)}"
        config = LoopConfig(epochs=epochs, optimiser=_OPTIMISER)
        hooks = Hooks(on_step=lambda step, steps, _parts: tell("fine-tuning", step, steps))
        Loop(stage, config, Checkpoints(folder), prepared.settings.seed).run(hooks)
        weights = {name: value.contiguous() for name, value in stage.student.state_dict().items()}
        data = safetensors.torch.save(weights)
        write_bytes_atomic(run / NETWORK, data)
        shutil.rmtree(folder)
        # A shipped network takes no other weights under its own name.
        shipped = SHIPPED.get(prepared.subject.name)
        return replace(
            prepared.subject,
            name=f"zoo:{shipped.architecture}" if shipped else prepared.subject.name,
            module=stage.student.eval().requires_grad_(False),
            weights_sha256=hashlib.sha256(data).hexdigest(),
        )

    return tune


def _stage(prepared: Prepared, split: Split, mean: float) -> PairStage:
    asked = prepared.settings
    training, validation = hold_out(split, _VALIDATION, asked.seed)
    settings = PairSettings(
        bits=(asked.bits[0], asked.bits[-1]),
        budget=mean,
        scheme=asked.scheme,
        weight_bits=asked.weight_bits or PairSettings().weight_bits,
    )
    return PairStage(
        "robust",
        prepared.subject.module,
        prepared.points,
        training,
        validation,
        settings,
        asked.seed,
    )


def _name(prepared: Prepared, split: Split, mean: float, epochs: int) -> str:
    """Of the checkpoints: those of another network, other data or settings are not taken up."""
    about = [
        prepared.settings.model_dump(),
        prepared.subject.weights_sha256,
        len(split),
        mean,
        epochs,
    ]
    return fingerprint(about)[:12]


def _training_split(prepared: Prepared, data: str, options: DataOptions) -> Split:
    training = options.changed(split="train")
    examples = load_examples(data, subject=prepared.subject, options=training)
    if not isinstance(examples.inputs, Tensor) or examples.labels is None:
        raise InputError(f"--fine-tune: {data} has no examples with labels to train on")
    if set(examples.ids) & set(prepared.examples.ids):
        raise InputError(f"--fine-tune: {data} has no training split apart from what was assessed")
    return Split(examples.inputs, examples.labels, examples.ids)
