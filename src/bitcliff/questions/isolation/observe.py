"""Each victim alone, among random others, and beside the worst companion that can be found.

A batch of two is enough to attack with: further copies of a companion widen no range further.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bitcliff.audit.compose import provenance_of, subject_info
from bitcliff.errors import InputError
from bitcliff.points import Attachment, Selection, discover, logits_of, take
from bitcliff.points.final_activation import FinalActivation, final_of
from bitcliff.questions.image_scale import image_scale
from bitcliff.questions.isolation.bench import Bench, beside, laid_out_alike
from bitcliff.questions.isolation.companion_search import Attempt
from bitcliff.questions.isolation.crafting import Workshop, by_gradient, by_random_search, workshop
from bitcliff.questions.isolation.images import legal
from bitcliff.questions.isolation.per_batch_scale import BITS, SCHEME, SharedScale, eight_bits
from bitcliff.questions.isolation.record import (
    DATA,
    Attack,
    Baseline,
    Checked,
    IsolationObserved,
    Proof,
    Victim,
)
from bitcliff.questions.runtime_description import described
from bitcliff.types.settings import IsolationSettings
from bitcliff.types.subject import Examples, Inputs, Subject

Progress = Callable[[int, int], None]

# Full batches in which the worst companion is tried again.
FULL_BATCHES = 5


@dataclass(frozen=True)
class Tried:
    """What was tried on one victim.

    Attributes:
        attacks: the worst companion that each found, by its name. checked: the worst of all.
        companion: that one's input (1, ...). image: the same as an image (1, channels, height,
            width) in [0, 1], where it was crafted and is no example.
    """

    attacks: dict[str, Attack]
    checked: Checked
    companion: Inputs
    image: Tensor | None


@dataclass
class Measurement:
    """A network, its data, and the runtime that both go to.

    Attributes:
        bench: the runtime. reference: the float network in the same runtime.
        classes: how many the network tells apart. final: its last activation.
        shop: None where no images can be crafted; `crafting` says why, or how they were.
    """

    subject: Subject
    examples: Examples
    settings: IsolationSettings
    bench: Bench
    reference: Bench
    classes: int = field(init=False)
    final: FinalActivation = field(init=False)
    shop: Workshop | None = field(init=False, default=None)
    crafting: str = field(init=False, default="none: no companion was looked for")

    def __post_init__(self) -> None:
        """Find the points.

        Raises:
            InputError: fewer examples than a batch holds, or a network without points.
        """
        if len(self.examples) < self.settings.batch:
            raise InputError(
                f"--batch {self.settings.batch}: there are only {len(self.examples)} examples; "
                "give a smaller --batch or more --examples"
            )
        module, inputs = self.subject.module, self.examples.inputs
        self.plan = discover(module, inputs, Selection(include_stem=True))
        self.ours = Attachment(module, self.plan, SCHEME, weight_bits=BITS)
        with torch.no_grad():
            scores = logits_of(module, take(inputs, torch.arange(self.settings.batch)))
        self.classes, self.final = scores.shape[1], final_of(module, scores)

    def prepared(self) -> "Measurement":
        """For the search: take every example's ranges, craft what serves for all victims."""
        module, inputs = self.subject.module, self.examples.inputs
        self._ranges = self._all_ranges(SharedScale(module, self.plan, mates=1))
        self.bench = replace(self.bench, final=self.final)
        try:
            scale = image_scale(inputs, self.subject.preprocessing)
        except InputError as error:
            self.crafting = f"none: {error}"
            return self
        like = take(inputs, torch.tensor([0]))
        assert isinstance(like, Tensor)  # noqa: S101  (`image_scale` has seen to it)
        self.shop = workshop(self.subject, self.plan, scale, self.settings.seed, like, self.final)
        self.crafting = "8-bit images from black to white as the network takes them"
        return self

    def baseline(self, progress: Progress) -> list[Baseline]:
        """Every example alone, among copies of itself, and in random full batches."""
        n, draws = len(self.examples), self.settings.draws
        whole = n + draws
        rows = []
        for place in range(n):
            rows.append(self._alone(place))
            progress(place + 1, whole)
        copies = torch.stack([self._ours_among(self._copies(place)) for place in range(n)])
        for draw in range(draws):
            self._draw(rows, copies, np.random.default_rng([self.settings.seed, draw]))
            progress(n + draw + 1, whole)
        return rows

    def attack(self, place: int, baseline: Baseline) -> Tried:
        """Every attack on one victim, and the worst companion of all run again."""
        rng = np.random.default_rng([self.settings.seed, 1, place])
        victim = self.one(place)
        attempts = {DATA: self._from_data(place, baseline.alone)}
        if self.shop is not None:
            attempts |= self._crafted(victim, baseline.alone, attempts[DATA], rng)
        worst = min(attempts, key=lambda name: attempts[name].depth)
        companion = attempts[worst].companion
        assert companion is not None  # noqa: S101  (every attack offers one at least)
        image = None
        if worst != DATA and self.shop is not None:
            image = self.shop.scale.to_images(attempts[worst].tensor())
        return Tried(
            {name: attempt.result() for name, attempt in attempts.items()},
            self._check(place, worst, companion, rng),
            companion,
            image,
        )

    def one(self, place: int) -> Inputs:
        """An example as a batch of one."""
        return take(self.examples.inputs, torch.tensor([place]))

    def _copies(self, place: int) -> Inputs:
        return take(self.examples.inputs, torch.full((self.settings.batch,), place))

    def _ours_among(self, batch: Inputs) -> Float[Tensor, "batch classes"]:
        with torch.no_grad():
            return self.ours.run(laid_out_alike(batch), eight_bits(self.plan, self.settings.batch))

    def _all_ranges(self, network: SharedScale) -> Float[Tensor, "points n 2"]:
        """Least and greatest value of every example at every point, each in a batch of its own
        scale; points that not every pass reaches are left out."""
        found, scores = [], []
        with torch.no_grad():
            for index in torch.arange(len(self.examples)).split(self.settings.batch):
                scores.append(network.shared_scores(take(self.examples.inputs, index)))
                found.append(torch.stack(network.ranges))
        self.final = final_of(self.subject.module, torch.cat(scores))
        return torch.cat(found, 1)

    def _alone(self, place: int) -> Baseline:
        one = self.one(place)
        scores, copies = self.bench.scores(one), self.bench.scores(self._copies(place))
        alone = scores.argmax(1)
        with torch.no_grad():
            in_torch = logits_of(self.subject.module, one)
        return Baseline(
            float_prediction=int(in_torch.argmax()),
            alone=int(alone),
            margin=self.bench.lead(scores, int(alone)),
            copies=int(copies[0].argmax()),
            copies_same_bits=bool((copies == scores).all()),
            random=[],
            reference_alone=int(self.reference.scores(one).argmax()),
            reference_random=[],
            ours_same_bits=[],
        )

    def _draw(
        self,
        rows: list[Baseline],
        copies: Float[Tensor, "n batch classes"],
        rng: np.random.Generator,
    ) -> None:
        """Share all examples out among full batches at random; the last is filled up by others."""
        n, size = len(rows), self.settings.batch
        order = rng.permutation(n)
        for start in range(0, n, size):
            members = order[start : start + size]
            others = rng.permutation(np.setdiff1d(order, members))[: size - len(members)]
            index = torch.from_numpy(np.concatenate([members, others]))
            batch = take(self.examples.inputs, index)
            both = (self.bench, self.reference)
            predictions = [bench.scores(batch).argmax(1).tolist() for bench in both]
            # Kernels may sum in another order at another place of a batch, also in float.
            alike = copies[index, torch.arange(size)]
            same = (self._ours_among(batch) == alike).all(1).tolist()
            for place, example in enumerate(members.tolist()):
                rows[example].random.append(predictions[0][place])
                rows[example].reference_random.append(predictions[1][place])
                rows[example].ours_same_bits.append(same[place])

    def _from_data(self, place: int, decision: int) -> Attempt:
        """The candidates that widen the victim's ranges most, the widest first; all are run."""
        attempt = Attempt(self.bench, self.one(place), decision)
        mine = self._ranges[:, place : place + 1]
        low = torch.minimum(self._ranges[..., 0], mine[..., 0])
        high = torch.maximum(self._ranges[..., 1], mine[..., 1])
        widths = [(top - bottom).clamp(min=1e-12) for bottom, top in ((low, high), mine.unbind(-1))]
        widening = (widths[0] / widths[1]).log().sum(0)
        order = [other for other in widening.argsort(descending=True).tolist() if other != place]
        for other in order[: self.settings.candidates]:
            attempt.offer(self.one(other), self.examples.ids[other])
        return attempt

    def _crafted(
        self, victim: Inputs, decision: int, data: Attempt, rng: np.random.Generator
    ) -> dict[str, Attempt]:
        shop = self.shop
        assert shop is not None  # noqa: S101  (the caller has seen to it)
        names = ("patterns", "widest ranges", "gradients", "random search")
        attempts = {name: Attempt(self.bench, victim, decision) for name in names}
        for name, image in shop.patterns.items():
            attempts["patterns"].offer(shop.scale.to_inputs(image), name)
        attempts["widest ranges"].offer(shop.scale.to_inputs(shop.widest), "widest ranges")
        if self.settings.effort < 4:
            return {name: attempts[name] for name in names[:2]}
        pattern = legal(shop.scale.to_images(attempts["patterns"].tensor()))
        example = legal(shop.scale.to_images(data.tensor()))
        noise = torch.from_numpy(rng.integers(0, 2, tuple(pattern.shape))).to(pattern)
        starts = torch.cat([pattern, shop.widest, example, noise])
        by_gradient(attempts["gradients"], shop, starts, self.settings.effort)
        by_random_search(attempts["random search"], shop, pattern, self.settings.effort, rng)
        return attempts

    def _check(
        self, place: int, attack: str, companion: Inputs, rng: np.random.Generator
    ) -> Checked:
        victim, size = self.one(place), self.settings.batch
        pair = beside(victim, companion)
        full = []
        for _ in range(FULL_BATCHES):
            rest = np.setdiff1d(np.arange(len(self.examples)), [place])
            others = take(self.examples.inputs, torch.from_numpy(rng.permutation(rest)[: size - 2]))
            order = torch.from_numpy(rng.permutation(size))
            scores = self.bench.scores(take(beside(pair, others), order))
            full.append(int(scores[order == 0].argmax()))
        ours = self._ours_among(beside(victim, *[companion] * (size - 1)))[0]
        return Checked(
            attack=attack,
            swapped=int(self.bench.scores(beside(companion, victim))[1].argmax()),
            full=full,
            reference=int(self.reference.scores(pair)[0].argmax()),
            ours_same_bits=torch.equal(ours, self._ours_among(self._copies(place))[0]),
        )


def observed_of(
    measurement: Measurement,
    victims: Sequence[Victim],
    proof: Proof | None,
    positive_control: bool | None,
    started: str,
    command: str,
) -> IsolationObserved:
    """All that a measurement observed, ending now."""
    subject, examples = measurement.subject, measurement.examples
    strays = measurement.ours.incidents.strays
    return IsolationObserved(
        provenance=provenance_of(subject, examples, measurement.settings.seed, started, command),
        subject=subject_info(
            subject, examples, measurement.plan, strays, measurement.classes, measurement.final
        ),
        runtime=described(measurement.bench.runtime),
        reference_runtime=described(measurement.reference.runtime),
        settings=measurement.settings,
        positive_control=positive_control,
        crafting=measurement.crafting,
        proof=proof,
        victims=list(victims),
    )
