"""Every set around every example that can fail, searched; what fails is run again as all is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor

from bitcliff.adapters.array_images import array_thumbnails
from bitcliff.audit.compose import provenance_of, subject_info
from bitcliff.audit.evaluator import Evaluator, Scores, margins
from bitcliff.audit.inputs import laid_out_for_speed, nudged
from bitcliff.audit.prepare import Prepared
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.points.forward import batch_size, each, raw_tensors
from bitcliff.policy.guard import Guard
from bitcliff.questions.image_scale import layout_of
from bitcliff.questions.provocation.adaptive import Adaptive
from bitcliff.questions.provocation.attack import Attack, Found, drive
from bitcliff.questions.provocation.record import (
    CONTROL,
    NUDGES,
    RANDOM,
    Attempt,
    Failure,
    Parent,
    ProvocationObserved,
    Ranked,
    Searched,
)
from bitcliff.questions.provocation.rivals import Rivals, is_flagged
from bitcliff.questions.provocation.sets import Neighbourhood, usual_sets
from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.types.presets import Format
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.subject import Inputs
from bitcliff.types.within import read_within

Tell = Callable[[str, int, int], None]
Save = Callable[[str, int, Inputs, Inputs], None]
"""Given the search, the place of an example in the data, its input, and one that fails."""

# Of float's median lead, what is demanded where the user does not say.
_SHARE = 0.1
# Failures of each search whose images are kept, those with the most lead in float.
_SHOWN = 12
_DIFFERENCE = 8.0


@dataclass(frozen=True)
class Guarded:
    """A guard that failing inputs must get past, and what it is in words."""

    guard: Guard
    words: str


@dataclass(frozen=True)
class Provoking:
    """A network, its data and a format, run once as they are.

    Attributes:
        name, shipped: of the format, or of what gives bits. delta: by which float must lead,
            logits.
        in_float, quantized: (n,) leads of what is wanted, NaN where the network fails numerically.
        guard: by which what fails must not be flagged.
    """

    prepared: Prepared
    name: str
    shipped: Format | Adaptive
    settings: ProvokeSettings
    wanted: Int[Tensor, " n"]
    in_float: Float64[Tensor, " n"]
    quantized: Float64[Tensor, " n"]
    delta: float
    guard: Guarded | None = None

    @property
    def places(self) -> Int[Tensor, " m"]:
        """Of the examples that can fail."""
        return ((self.in_float >= self.delta) & (self.quantized >= 0)).nonzero()[:, 0]

    @property
    def sets(self) -> tuple[str, ...]:
        """What is searched around the examples."""
        asked = self.settings.within
        if asked:
            return tuple(name for name in asked if not read_within(name).data)
        prepared, inputs = self.prepared, self.parents
        images = isinstance(inputs, Tensor) and bool(
            layout_of(inputs, prepared.subject.preprocessing)
        )
        return usual_sets(inputs, images, prepared.subject.hearing is not None)

    @property
    def parents(self) -> Inputs:
        """The examples that can fail."""
        return take(self.prepared.evaluator.inputs, self.places)

    def searched(
        self,
        around: Neighbourhood,
        keep: Callable[[str, Callable[[], Any]], Any],
        tell: Tell,
        save: Save = lambda _method, _place, _parent, _changed: None,
    ) -> Searched:
        """One set, by all its searches and both controls.

        Args:
            keep: what is kept of a search by its name, or else made.
            save: is given every failing input.
        """
        methods = (*around.methods, RANDOM, CONTROL)
        made = {}
        for method in methods:
            key = f"{around.within.name} {method}"
            told = partial(tell, f"Within {around.within.name}, {method}")
            made[method] = keep(key, partial(self._attempts, around, method, told, save))
        return Searched(within=around.within.name, words=around.within.words, attempts=made)

    def _attempts(
        self,
        around: Neighbourhood,
        method: str,
        tell: Callable[[int, int], None],
        save: Save,
    ) -> list[Attempt]:
        own = around.methods[0] if method == CONTROL else method
        effort, seed = self.settings.effort, self.settings.seed
        index = self.places.tolist()
        attacks = [
            around.attack(own, row, np.random.default_rng((seed, place, *method.encode())), effort)
            for row, place in enumerate(index)
        ]
        rivals = Rivals(
            self.prepared.evaluator,
            None if method == CONTROL else self.shipped,
            around.embedding,
            None if self.guard is None else self.guard.guard,
        )
        found = drive(
            rivals,
            attacks,
            around.parents,
            self.wanted[self.places],
            self.delta,
            effort,
            around.as_inputs,
            tell,
        )
        return self._confirmed(around, method, attacks, found, save)

    def _confirmed(
        self,
        around: Neighbourhood,
        method: str,
        attacks: Sequence[Attack],
        found: Sequence[Found],
        save: Save,
    ) -> list[Attempt]:
        """What was found, each run again in batches of the usual size."""
        rows = [row for row, one in enumerate(found) if one.changed is not None]
        attempts = [Attempt(passes=one.passes) for one in found]
        if not rows:
            return attempts
        changed = [one.changed for one in found if one.changed is not None]
        own = take(around.parents, torch.tensor(rows))
        given = laid_out_for_speed(around.as_inputs(changed, own))
        again = self._again(given, own, method)
        wanted = self.wanted[self.places[rows]]
        in_float, quantized = (leads_of(one, wanted) for one in again[:2])
        stays = self._stays(again, wanted)
        guard = None if self.guard is None else self.guard.guard
        seen = is_flagged(guard, again[1].logits).tolist()
        for place, row in enumerate(rows):
            lost = not (in_float[place] >= self.delta and quantized[place] < 0) or seen[place]
            failure = None
            if not lost:
                one = torch.tensor([place])
                save(method, int(self.places[row]), take(own, one), take(given, one))
                failure = Failure(
                    float_lead=float(in_float[place]),
                    quantized_lead=float(quantized[place]),
                    prediction=int(again[1].predictions[place]),
                    distance=around.distance(changed[place], row),
                    stays=None if stays is None else stays[place],
                    told=around.told(changed[place], row, attacks[row]),
                    texts=around.texts(changed[place], row),
                )
            attempts[row] = Attempt(passes=found[row].passes, failure=failure, lost=lost)
        return self._with_images(around, attempts, dict(zip(rows, changed, strict=True)))

    def _again(self, inputs: Inputs, own: Inputs, method: str) -> list[Scores]:
        """Float, the format, and the format on nudged inputs where they can be nudged."""
        plain = self.prepared.evaluator
        evaluator = Evaluator(plain.attachment, plain.wanted_alike(inputs, own), plain.batch_size)
        index = torch.arange(batch_size(inputs))
        if method == CONTROL:
            again = replace(evaluator, inputs=each(inputs, partial(nudged, number=0)))
            again.wanted_alike(again.inputs, own)
            return [evaluator.float_scores(index), again.float_scores(index)]
        scores = [evaluator.float_scores(index), in_format(evaluator, self.shipped)]
        if raw_tensors(inputs):
            for number in range(1, NUDGES + 1):
                other = replace(evaluator, inputs=each(inputs, partial(nudged, number=number)))
                other.wanted_alike(other.inputs, own)
                scores.append(in_format(other, self.shipped))
        return scores

    def _stays(self, again: Sequence[Scores], wanted: Tensor) -> list[int] | None:
        if len(again) == 2:
            return None
        fails = torch.stack([leads_of(one, wanted) < 0 for one in again[2:]])
        return [int(count) for count in fails.sum(0)]

    def _with_images(
        self, around: Neighbourhood, attempts: list[Attempt], changed: dict[int, Tensor]
    ) -> list[Attempt]:
        """Of those with the most lead in float."""
        leads = {row: one.failure.float_lead for row, one in enumerate(attempts) if one.failure}
        for row in sorted(leads, key=lambda one: -leads[one])[:_SHOWN]:
            both, failure = around.images(changed[row], row), attempts[row].failure
            if both is None or failure is None:
                continue
            apart = (_DIFFERENCE * (both[1] - both[0]) + 0.5).clamp(0, 1)
            drawn = array_thumbnails(torch.stack([*both, apart]).numpy(), limits=(0.0, 1.0))
            if drawn is not None:
                kept = failure.model_copy(update={"images": list(drawn)})
                attempts[row] = attempts[row].model_copy(update={"failure": kept})
        return attempts

    def observed(
        self, searched: Sequence[Searched], ranked: Sequence[Ranked], started: str, command: str
    ) -> ProvocationObserved:
        """All of it, ending now."""
        return ProvocationObserved(
            **self.as_they_are(started, command),
            guard=None if self.guard is None else self.guard.words,
            searched=list(searched),
            ranked=list(ranked),
        )

    def as_they_are(self, started: str, command: str) -> dict[str, Any]:
        """The fields of `AsTheyAre`, ending now."""
        prepared = self.prepared
        return {
            "provenance": provenance_of(
                prepared.subject, prepared.examples, self.settings.seed, started, command
            ),
            "subject": subject_info(
                prepared.subject,
                prepared.examples,
                prepared.points,
                prepared.evaluator.attachment.incidents.strays,
                prepared.n_classes,
                prepared.evaluator.attachment.final,
            ),
            "numerics": RuntimeDescription(
                name=self.name,
                version="simulated",
                description=self.shipped.formula,
                quantized={},
                in_float={},
            ),
            "settings": self.settings,
            "delta": self.delta,
            "parents": self.parents_as_they_are(),
        }

    def parents_as_they_are(self) -> list[Parent]:
        """All examples, as the record has them."""
        every = zip(
            self.prepared.examples.ids,
            self.wanted,
            self.in_float.tolist(),
            self.quantized.tolist(),
            strict=True,
        )
        return [
            Parent(id=one, wanted=int(wanted), float_lead=_known(a), quantized_lead=_known(b))
            for one, wanted, a, b in every
        ]


def provoking(
    prepared: Prepared,
    name: str,
    shipped: Format | Adaptive,
    settings: ProvokeSettings,
    guard: Guarded | None = None,
) -> Provoking:
    """Both networks run once on the examples as they are.

    Raises:
        InputError: no example is right in float by delta and right in the format.
    """
    wanted = _wanted(prepared)
    in_float = leads_of(prepared.in_float, wanted)
    quantized = leads_of(in_format(prepared.evaluator, shipped), wanted)
    delta = settings.delta
    right = in_float[in_float > 0]
    if not len(right):
        raise InputError("float is right of no example: there is nothing that could be lost")
    if delta is None:
        delta = float(f"{_SHARE * float(right.median()):.3g}")
    leads = in_float, quantized, delta
    found = Provoking(prepared, name, shipped, settings, wanted, *leads, guard)
    if not len(found.places):
        most = float(right.max())
        raise InputError(
            f"--delta {delta:g}: no example is right in float by as much and right in {name}; the "
            f"largest lead is {most:.3g}"
        )
    return found


def in_format(evaluator: Evaluator, shipped: Format | Adaptive) -> Scores:
    """All examples, each alone where a batch shares a scale."""
    if isinstance(shipped, Adaptive):
        return shipped.scores(evaluator)
    index = torch.arange(batch_size(evaluator.inputs))
    formats = (shipped,) * len(evaluator.attachment.plan)
    return evaluator.format_scores(index, formats, None if shipped.isolated else 1)


def _wanted(prepared: Prepared) -> Int[Tensor, " n"]:
    """Labels, or what float decides; 0 of those where it fails, which count for nothing."""
    return torch.tensor([0 if one is None else int(one) for one in prepared.targets])


def leads_of(scores: Scores, wanted: Int[Tensor, " n"]) -> Float64[Tensor, " n"]:
    found = margins(scores.logits, wanted)
    return torch.where(scores.finite, found, torch.nan)


def _known(lead: float) -> float | None:
    return lead if lead == lead else None
