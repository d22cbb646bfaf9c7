"""Every class and set scanned for a trigger on one half of the examples, judged on the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitcliff.adapters.array_images import array_thumbnails
from bitcliff.audit.evaluator import Evaluator, Scores, margins
from bitcliff.audit.inputs import laid_out_for_speed, nudged
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.points.forward import batch_size, each
from bitcliff.questions.halves import Halves, half_size
from bitcliff.questions.provocation.observe import Provoking, Tell, in_format
from bitcliff.questions.provocation.record import CONTROL, GRADIENTS, RANDOM, SEARCH, Parent
from bitcliff.questions.provocation.rivals import Remedied, Rivals
from bitcliff.questions.provocation.universal.record import (
    METHODS,
    SEARCHES,
    ClassScan,
    Found,
    Judged,
    Remedies,
    Remedy,
    Scan,
    Shown,
    UniversalObserved,
)
from bitcliff.questions.provocation.universal.remedies import Way, ways
from bitcliff.questions.provocation.universal.search import (
    Bench,
    at_random,
    by_chance,
    by_gradient,
)
from bitcliff.questions.provocation.universal.statistics import of_classes, strongest
from bitcliff.questions.provocation.universal.triggers import (
    Trigger,
    Triggers,
    triggers_of,
    usual_triggers,
)
from bitcliff.record.arrays import classes as as_classes
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.presets import Format
from bitcliff.types.subject import Inputs, Texts
from bitcliff.types.within import read_within

Keep = Callable[[str, Callable[[], Any]], Any]
"""What is kept by its name, or else made."""

_SEARCHED_BY = {
    GRADIENTS: by_gradient,
    SEARCH: by_chance,
    RANDOM: at_random,
    CONTROL: by_gradient,
}
# More classes than that must be named.
_MOST_CLASSES = 20
_SHOWN = 3


@dataclass(frozen=True)
class Scanning:
    """A network and a format that are scanned.

    Attributes:
        network: both run once on the examples as they are. targets: the classes.
        halves: of the examples that can fail; triggers are searched on the first.
        sets: whose triggers. known: those found so far, by set, class and search.
    """

    network: Provoking
    targets: tuple[int, ...]
    halves: Halves
    sets: tuple[Triggers, ...]
    known: dict[tuple[str, int, str], Trigger] = field(default_factory=dict)

    @property
    def wanted(self) -> Int[Tensor, " m"]:
        """Of the examples that can fail."""
        return self.network.wanted[self.network.places]

    def scanned(self, keep: Keep, tell: Tell) -> list[Scan]:
        """Every set and class."""
        return [
            Scan(
                within=triggers.within.name,
                words=triggers.within.words,
                classes=[self._class(triggers, target, keep, tell) for target in self.targets],
            )
            for triggers in self.sets
        ]

    def _class(
        self,
        triggers: Triggers,
        target: int,
        keep: Keep,
        tell: Tell,
        remedied: Remedied | None = None,
        about: str = "",
    ) -> ClassScan:
        found = {}
        for method in METHODS if remedied is None else SEARCHES:
            key = f"{about}{triggers.within.name} {target} {method}"
            told = partial(tell, f"{about}{triggers.within.name}, class {target}, {method}")
            make = partial(self._found, triggers, target, method, told, remedied)
            found[method] = keep(key, make)
        return ClassScan(target=target, found=found)

    def _bench(
        self,
        triggers: Triggers,
        target: int,
        method: str,
        tell: Callable[[int, int], None],
        remedied: Remedied | None,
    ) -> Bench:
        network, settings = self.network, self.network.settings
        half = torch.from_numpy(self.halves.half.astype(np.int64))
        places = half[self.wanted[half] != target]
        shipped = None if method == CONTROL else network.shipped
        return Bench(
            Rivals(network.prepared.evaluator, shipped, triggers.embedding, None, remedied),
            triggers,
            places,
            self.wanted,
            network.delta,
            target,
            np.random.default_rng((settings.seed, target, *method.encode())),
            settings.effort * len(places),
            tell,
        )

    def _found(
        self,
        triggers: Triggers,
        target: int,
        method: str,
        tell: Callable[[int, int], None],
        remedied: Remedied | None,
    ) -> Found:
        bench = self._bench(triggers, target, method, tell, remedied)
        trigger = _SEARCHED_BY[method](bench)
        if remedied is None:
            self.known[triggers.within.name, target, method] = trigger
        judged = self._judged(triggers, trigger, method, remedied)
        return Found(
            **judged.model_dump(),
            passes=bench.spent,
            told=triggers.told(trigger),
            picture=_thumbnail(triggers.picture(trigger)),
            shown=self._shown(triggers, trigger, target, judged),
        )

    def _trigger(self, triggers: Triggers, target: int, method: str, tell: Tell) -> Trigger:
        """One that was found; of a run before this one, the same search finds it again."""
        key = triggers.within.name, target, method
        if key not in self.known:
            told = partial(tell, f"{triggers.within.name}, class {target}, once more")
            bench = self._bench(triggers, target, method, told, None)
            self.known[key] = _SEARCHED_BY[method](bench)
        return self.known[key]

    def _judged(
        self, triggers: Triggers, trigger: Trigger, method: str, remedied: Remedied | None
    ) -> Judged:
        """What it does, run in batches of the usual size."""
        rest = torch.from_numpy(self.halves.rest.astype(np.int64))
        leads = torch.empty(len(rest), dtype=torch.float64)
        predictions: list[int | None] = [None] * len(rest)
        for rows, inputs in self._on(triggers, trigger, rest):
            own = take(triggers.parents, rest[rows])
            in_float, other = self._run(laid_out_for_speed(inputs), own, method, remedied)
            lead = margins(in_float.logits, self.wanted[rest[rows]])
            leads[rows] = torch.where(in_float.finite, lead, torch.nan)
            told = zip(
                rows.tolist(), other.predictions.tolist(), other.finite.tolist(), strict=True
            )
            for row, prediction, finite in told:
                predictions[row] = prediction if finite else None
        return Judged(leads=leads.numpy(), predictions=as_classes(predictions))

    def _on(
        self, triggers: Triggers, trigger: Trigger, places: Tensor
    ) -> Iterator[tuple[Tensor, Inputs]]:
        """Rows of these places, of one length each, with the trigger on them."""
        lengths = triggers.lengths
        kinds = torch.tensor([0 if lengths is None else lengths[one] for one in places.tolist()])
        for kind in kinds.unique():
            rows = (kinds == kind).nonzero()[:, 0]
            yield rows, triggers.on(trigger, places[rows])

    def _run(
        self, inputs: Inputs, own: Inputs, method: str, remedied: Remedied | None
    ) -> tuple[Scores, Scores]:
        plain = self.network.prepared.evaluator
        size = min(plain.batch_size, batch_size(inputs)) if isinstance(own, Texts) else None
        evaluator = Evaluator(plain.attachment, inputs, size or plain.batch_size)
        index = torch.arange(batch_size(inputs))
        in_float = evaluator.float_scores(index)
        if method == CONTROL:
            again = replace(evaluator, inputs=each(inputs, partial(nudged, number=0)))
            return in_float, again.float_scores(index)
        return in_float, self._quantized(evaluator, remedied)

    def _quantized(self, evaluator: Evaluator, remedied: Remedied | None) -> Scores:
        """Each alone where a batch shares a scale."""
        if remedied is None:
            return in_format(evaluator, self.network.shipped)
        evaluator = replace(evaluator, attachment=remedied.attachment)
        index = torch.arange(batch_size(evaluator.inputs))
        alone = all(one.isolated for one in remedied.formats)
        return evaluator.format_scores(index, remedied.formats, None if alone else 1)

    def _shown(
        self, triggers: Triggers, trigger: Trigger, target: int, judged: Judged
    ) -> list[Shown]:
        """Some that are turned."""
        done = (judged.leads >= self.network.delta) & (judged.predictions == target)
        rest = torch.from_numpy(self.halves.rest.astype(np.int64))
        able = (self.wanted[rest] != target).numpy()
        ids = self.network.prepared.examples.ids
        found = []
        for row in np.flatnonzero(done & able)[:_SHOWN]:
            place = rest[int(row)][None]
            both = take(triggers.parents, place), triggers.on(trigger, place)
            before, after = (_drawn(triggers, one) for one in both)
            name = ids[int(self.network.places[place])]
            found.append(Shown(id=name, before=before, after=after))
        return found

    def remedied(self, scans: Sequence[Scan], keep: Keep, tell: Tell) -> Remedies | None:
        """What helps against the trigger of the class that is accused, if one is."""
        accused = self._accused(scans)
        if accused is None:
            return None
        triggers, target, method = accused
        trigger = self._trigger(triggers, target, method, tell)
        clean = take(triggers.parents, torch.from_numpy(self.halves.half.astype(np.int64)))
        prepared, seed = self.network.prepared, self.network.settings.seed
        shipped = self.network.shipped
        assert isinstance(shipped, Format)  # noqa: S101  (scans are of no other)
        tried = [
            self._tried(way, triggers, trigger, keep, tell)
            for way in ways(prepared, shipped, clean, seed)
        ]
        return Remedies(within=triggers.within.name, target=target, method=method, tried=tried)

    def _accused(self, scans: Sequence[Scan]) -> tuple[Triggers, int, str] | None:
        """Of all that are, the one that is turned to most: set, class and search."""
        able, rest = self._parents, self.halves.rest
        held = [able[place] for place in rest]
        cells = len(self.sets) * len(self.targets) * len(SEARCHES)
        found = [
            (one.low, place, one.target, strongest(one.turned))
            for place, scan in enumerate(scans)
            for one in of_classes(scan.classes, held, self.network.delta, cells)
            if one.accused
        ]
        if not found:
            return None
        _, place, target, method = max(found)
        return self.sets[place], target, method

    @cached_property
    def _parents(self) -> list[Parent]:
        """Those that can fail, as the record has them."""
        every = self.network.parents_as_they_are()
        return [every[place] for place in self.network.places.tolist()]

    def _tried(
        self, way: Way, triggers: Triggers, trigger: Trigger, keep: Keep, tell: Tell
    ) -> Remedy:
        remedied, about = way.make(), f"Remedy: {way.name}; "
        evaluator = self.network.prepared.evaluator
        used = set(self.network.places[torch.from_numpy(self.halves.half).long()].tolist())
        rest = [n for n in range(batch_size(evaluator.inputs)) if n not in used]
        scores = self._quantized(evaluator, remedied)
        told = zip(scores.predictions.tolist(), scores.finite.tolist(), strict=True)
        every = [prediction if finite else None for prediction, finite in told]
        return Remedy(
            name=way.name,
            words=way.words,
            clean=as_classes([every[place] for place in rest]),
            before=self._judged(triggers, trigger, GRADIENTS, remedied),
            again=[self._class(triggers, one, keep, tell, remedied, about) for one in self.targets],
        )

    def observed(
        self, scans: Sequence[Scan], remedies: Remedies | None, started: str, command: str
    ) -> UniversalObserved:
        """All of it, ending now."""
        return UniversalObserved(
            **self.network.as_they_are(started, command),
            half=self.halves.half,
            scans=list(scans),
            remedies=remedies,
        )


def scanning(network: Provoking) -> Scanning:
    """What is to be scanned, checked.

    Raises:
        InputError: the network decides among no classes, or among too many to scan them all; too
            few examples can fail, to search on some and to judge on others; the set does not fit.
    """
    prepared, settings = network.prepared, network.settings
    if isinstance(task_of(prepared.subject.module), AgainstFloat):
        raise InputError("--universal is for networks that decide among classes")
    able = len(network.places)
    halves = Halves(able, _drawn_half(able, settings.seed))
    if not halves.held_out:
        raise InputError(
            f"--universal: {able} examples can fail, and a trigger is searched on one half and "
            "judged on the other, which takes 20; give more with --examples or --data"
        )
    parents = network.parents
    names = settings.within or usual_triggers(parents, prepared.subject.preprocessing)
    sets = tuple(triggers_of(read_within(name), prepared, parents) for name in names)
    return Scanning(network, _targets(network), halves, sets)


def _drawn_half(n: int, seed: int) -> np.ndarray:
    order = np.random.default_rng((seed, n)).permutation(n)
    return np.sort(order[: half_size(n)]).astype(np.int32)


def _targets(network: Provoking) -> tuple[int, ...]:
    classes, asked = network.prepared.n_classes, network.settings.target
    if asked and max(asked) >= classes:
        raise InputError(f"--target {max(asked)}: the network has classes 0 to {classes - 1}")
    if not asked and classes > _MOST_CLASSES:
        raise InputError(
            f"--universal: {classes} classes are too many to scan them all; name some by --target"
        )
    if classes < 2:
        raise InputError("--universal: the network has one class only")
    return asked or tuple(range(classes))


def _thumbnail(image: Tensor | None) -> str:
    """As a data URI; empty where there is no picture."""
    drawn = None if image is None else array_thumbnails(image[None].numpy(), limits=(0.0, 1.0))
    return "" if drawn is None else drawn[0]


def _drawn(triggers: Triggers, inputs: Inputs) -> str:
    """One example, as a picture or as a text."""
    image = triggers.images(inputs)
    return triggers.text(inputs) if image is None else _thumbnail(image[0])
