"""A record like the built-in demo's: EfficientNet-Lite0 on 20 images, 49 points, 7 to 9 bits.

The outcomes are made up; every rate, interval and p-value is worked out from them, so that a
report of this record can be checked number by number.
"""

import base64
import functools
import importlib.util
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitcliff.record import (
    Condition,
    Effort,
    ExampleRow,
    Measured,
    Observed,
    Outcome,
    PointRow,
    Provenance,
    Record,
    SubjectInfo,
    Uncovered,
    record_of,
)
from bitcliff.record.conditions import Kind
from bitcliff.types.settings import AssessSettings
from tests.a_record import record_of_rows, table_of

N_POINTS = 49
BITS = range(3, 11)
LABELS = (
    243,
    559,
    438,
    990,
    949,
    853,
    609,
    609,
    915,
    455,
    541,
    630,
    741,
    471,
    129,
    99,
    251,
    22,
    317,
    305,
)
NAMES = {
    243: "bull mastiff", 559: "folding chair", 438: "beaker", 990: "buckeye", 949: "strawberry",
    853: "thatch", 609: "jeep", 915: "yurt", 455: "bottlecap", 541: "drum", 630: "loafer",
    741: "prayer rug", 471: "cannon", 129: "spoonbill", 99: "goose", 251: "dalmatian",
    22: "bald eagle", 317: "leafhopper", 305: "dung beetle",
}  # fmt: skip
HOSTILE = (
    "<script>alert('id')</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|'/C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    "-2+3",
    "{{ 7*7 }}{% raw %}",
    "line\nbreak\r\x00null",
    "\x1b[31mred\x1b]8;;https://evil.invalid\x07link",
    "[bold red]markup[/] :bomb:",
    "\u202egnp.exe",
    "lone\udc80surrogate",
    "]]> & &amp; <!--",
    "a" * 300,
    "\u200b\ufeffempty",
    "</style><style>*{display:none}",
    "https://evil.invalid/x.png",
    "\tlead",
    "＝1+1",
    "Ünïcødé 猫 🐈",
)
BAD_THUMBNAILS = (
    "https://evil.invalid/pixel.png",
    "javascript:alert(1)",
    "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+",
    'data:image/png;base64,AAAA" onerror="alert(1)',
    "data:text/html;base64,PHNjcmlwdD4=",
)


@dataclass(frozen=True)
class Variant:
    """What to build; the default is the demo's finding.

    Attributes:
        cliff: False: no allocation loses anything.
        uniform: False: no policy that spends the bits evenly.
        failures: worst-7 gives NaN on three examples.
        budgets: mean bits of the random, worst and best policies.
        repeats: how often each searched flip was repeated; 0 for a record that knows no repeats.
        fragile: of ten flips in a row, how many do not stay in the last repeat.
    """

    labelled: bool = True
    cliff: bool = True
    uniform: bool = True
    complete: bool = True
    failures: bool = False
    hostile: bool = False
    adversary: bool = True
    budgets: tuple[float, ...] = (7, 8, 9)
    n: int = 20
    repeats: int = 3
    fragile: int = 1


@functools.cache
def example_record(variant: Variant | None = None) -> Record:
    """Build the record of that variant; the same one each time."""
    variant = variant or Variant()
    rows = [_example(variant, index) for index in range(variant.n)]
    plans = {plan.name: plan for plan in _plans(variant)}
    counts = {name: sum(name in row.outcomes for row in rows) for name in plans}
    like = Observed(
        provenance=_provenance(variant),
        subject=_subject(variant),
        settings=_settings(variant),
        examples=table_of(rows),
        conditions=[],
    )
    record = record_of_rows(
        like,
        rows,
        [_condition(variant, plan) for plan in plans.values()],
        {name: _effort(plan, counts[name]) for name, plan in plans.items()},
    )
    kept = {name: one for name, one in record.table.thumbnails.items() if name in record.at_risk}
    table = record.table.model_copy(update={"thumbnails": kept})
    return Record(record.observed.model_copy(update={"examples": table}), record.figures)


def transcribed(record: Record) -> Record:
    """The same, its outcomes texts, of which two words are others wherever something is rounded."""
    table = record.table
    said = [f"{name} runs away from the old farm" for name in table.ids]
    odd = [text.replace("runs away", "rounds a way") for text in said]
    conditions = [
        one.model_copy(
            update={"outcomes": one.outcomes.model_copy(update={"said": [odd[p] for p in places]})}
        )
        for one in record.observed.conditions
        for places in [one.outcomes.index]
    ]
    table = table.model_copy(update={"said": said, "wanted": said, "thumbnails": {}})
    observed = record.observed.model_copy(update={"examples": table, "conditions": conditions})
    return Record(observed, record.figures)


@functools.cache
def graded(task: str, *, labelled: bool = True, by_words: bool = False) -> Record:
    """Sixty outcomes of which worst-7 keeps a tenth less of a score, all others as much."""
    base = example_record(Variant(budgets=(7,), n=60, labelled=labelled))
    in_float = np.linspace(0.4, 1.0, len(base.table))

    def scored(one: Measured) -> Measured:
        less = 0.1 if one.condition.name == "worst-7" else 0.0
        found = one.outcomes.model_copy(update={"score": in_float[one.outcomes.index] - less})
        return one.model_copy(update={"outcomes": found})

    table = base.table.model_copy(update={"score": in_float if labelled else None})
    subject = base.subject.model_copy(
        update={"task": task, "decision": f"whether it is {task}", "by_words": by_words}
    )
    conditions = [scored(one) for one in base.observed.conditions]
    observed = base.observed.model_copy(
        update={"examples": table, "conditions": conditions, "subject": subject}
    )
    return record_of(observed)


@dataclass(frozen=True)
class _Plan:
    """A policy: its kind, mean bits, how many of 20 it gets right, and how it looks for them."""

    family: Kind
    mean: float | None
    right: int
    forward: int = 1
    backward: int = 0
    step: int = 1

    @property
    def name(self) -> str:
        return _condition(Variant(), self).name

    @property
    def searched(self) -> bool:
        return self.family.startswith("worst") or self.family == "best"


def _plans(variant: Variant) -> list[_Plan]:
    even = {2: 0, 3: 0, 4: 3, 5: 11, 6: 16, 7: 18, 8: 18, 9: 18, 10: 18}
    plans = [_Plan("weights-only", None, 18)]
    if variant.uniform:
        plans += [_Plan("uniform", bits, right) for bits, right in even.items()]
    for index, mean in enumerate(variant.budgets):
        lost = index if variant.cliff else 2
        bad = (8, 9, 9)[index % 3] if variant.cliff else 18
        plans += [
            _Plan("random", mean, min(18, 17 + lost), 20),
            _Plan("random-static", mean, min(18, 16 + 2 * lost), 20),
            _Plan("best", mean, 18, 1200, 8),
        ]
        if variant.adversary:
            plans += [
                _Plan("worst", mean, bad, 2400, 8),
                _Plan("worst-static", mean, bad, 1600, 8, step=2),
                _Plan("worst-evolutionary", mean, min(18, bad + 2), 2400),
            ]
    return plans


def _example(variant: Variant, index: int) -> ExampleRow:
    rng = np.random.default_rng(index)
    label, wrong = LABELS[index % 20], LABELS[(index + 3) % 20]
    float_right = index % 20 < 18
    prediction = label if float_right else wrong
    outcomes = {}
    for plan in _plans(variant):
        if index % plan.step == 0:
            outcomes[plan.name] = _outcome(variant, plan, index, rng)
    name = HOSTILE[index % 20] if variant.hostile else f"imagenet_{index:02d}_{label}.jpg"
    thumbnail = _thumbnail(index % 20)
    if variant.hostile and index < len(BAD_THUMBNAILS):
        thumbnail = BAD_THUMBNAILS[index]
    return ExampleRow(
        id=name,
        label=label if variant.labelled else None,
        float_prediction=prediction,
        float_margin=float(rng.uniform(1, 6)),
        outcomes=outcomes,
        thumbnail=thumbnail,
    )


def _outcome(variant: Variant, plan: _Plan, index: int, rng: np.random.Generator) -> Outcome:
    label, wrong = LABELS[index % 20], LABELS[(index + 3) % 20]
    other = LABELS[(index + 7) % 20]
    bits = _allocation(plan, rng)
    if variant.failures and plan.name == "worst-7" and index < 3:
        nothing: list[int | None] | None = [None] * variant.repeats or None
        return Outcome(None, None, "blocks.3.depthwise_conv", bits, repeats=nothing)
    float_right = index % 20 < 18
    right = index % 20 >= 18 - plan.right and float_right
    prediction = (label if right else other) if float_right else wrong
    margin = float(rng.uniform(0.5, 5)) if right or not float_right else -float(rng.uniform(0.1, 6))
    draws: list[int | None] | None = None
    if plan.family.startswith("random"):
        # Draw 10 is the median and gives the outcome; the others break an image or so.
        fragile = variant.cliff and index % 20 in (5, 6) and right
        draws = [
            other if fragile and draw % (index % 20) == 1 else prediction for draw in range(20)
        ]
        draws[10] = prediction
    repeats: list[int | None] | None = None
    if variant.repeats and plan.searched:
        wavers = index % 10 < variant.fragile
        # A flip that wavers is as in float in the last repeat; an answer that stood, stands.
        before = label if float_right else wrong
        repeats = [*[prediction] * (variant.repeats - 1), before if wavers else prediction]
    return Outcome(prediction=prediction, margin=margin, bits=bits, draws=draws, repeats=repeats)


def _allocation(plan: _Plan, rng: np.random.Generator) -> list[int] | None:
    if plan.mean is None:
        return None
    if plan.family == "uniform":
        return [int(plan.mean)] * N_POINTS
    total = round(plan.mean * N_POINTS)
    if "static" in plan.family:
        rng = np.random.default_rng(7)
    least, more = divmod(total, N_POINTS)
    bits = [least + (place < more) for place in range(N_POINTS)]
    moves = 150 if plan.family.startswith("worst") else 60
    for take, give in rng.integers(N_POINTS, size=(moves, 2)).tolist():
        if moves == 150 and bits[give] < bits[take]:
            take, give = give, take  # starve the poor: the extremes an adversary goes to
        if take != give and bits[take] > BITS[0] and bits[give] < BITS[-1]:
            bits[take] -= 1
            bits[give] += 1
    return bits


def _condition(variant: Variant, plan: _Plan) -> Condition:
    return Condition(
        kind=plan.family,
        description=HOSTILE[0] if variant.hostile else f"{plan.family} at {plan.mean} bits",
        width=int(plan.mean) if plan.family == "uniform" and plan.mean is not None else None,
        mean_bits=plan.mean,
        total_bits=None if plan.mean is None else round(plan.mean * N_POINTS),
        policy_freedom_log2=_freedom(plan),
    )


def _effort(plan: _Plan, examples: int) -> Effort:
    return Effort(
        forward_passes=plan.forward * examples,
        backward_passes=plan.backward * examples,
        method=_METHODS.get(plan.family, "one pass over the examples"),
    )


_METHODS = {
    "worst": "gradient search, exact budget, 8 rounds, then exchanges",
    "worst-static": "gradient search on one half of the examples, reported on the other",
    "worst-evolutionary": "evolutionary search over the same budget",
    "best": "gradient search, exact budget, 8 rounds, then exchanges",
}


def _freedom(plan: _Plan) -> float | None:
    if plan.mean is None or plan.family == "uniform":
        return plan.mean and 0.0
    return math.log2(_counts()[round(plan.mean * N_POINTS) - BITS[0] * N_POINTS])


@functools.cache
def _counts() -> list[int]:
    """How many allocations spend exactly 3 L, 3 L + 1, ... bits."""
    counts = [1]
    for _ in range(N_POINTS):
        longer = [0] * (len(counts) + len(BITS) - 1)
        for spent, ways in enumerate(counts):
            for extra in range(len(BITS)):
                longer[spent + extra] += ways
        counts = longer
    return counts


@functools.cache
def _thumbnail(index: int) -> str | None:
    """An image that the foolbox package carries, read without importing it; some have none."""
    spec = importlib.util.find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations or index == 3:
        return None
    from PIL import Image

    (path,) = Path(spec.submodule_search_locations[0], "data").glob(f"imagenet_{index:02d}_*.jpg")
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.resize((96, 96)).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _points() -> list[PointRow]:
    stem = PointRow(
        name="_conv_stem", site="_conv_stem", kind="conv2d", shape=[3, 224, 224], macs=10838016,
        quantized=False,
        reason="the image itself; --include-stem puts it in",
    )  # fmt: skip
    parts = ["depthwise_conv", "project_conv"]
    names = [f"_blocks.0._{part}" for part in parts]
    names += [
        f"_blocks.{block}._{part}" for block in range(1, 16) for part in ("expand_conv", *parts)
    ]
    names += ["_conv_head", "_fc"]
    return [stem] + [
        PointRow(
            name=name,
            site=name,
            kind="linear" if name == "_fc" else "conv2d",
            shape=[1280]
            if name == "_fc"
            else [32 + 16 * (index % 7), 112 >> (index // 12)] * 1 + [112 >> (index // 12)],
            macs=1280000 if name == "_fc" else 3000000 + 210000 * (index * 37 % 41),
            quantized=True,
        )
        for index, name in enumerate(names)
    ]


def _subject(variant: Variant) -> SubjectInfo:
    points = _points()
    if variant.hostile:
        points[5] = points[5].model_copy(update={"name": HOSTILE[0], "kind": HOSTILE[1]})
    uncovered = [
        Uncovered(
            name="attn.scores", kind="matmul", reason="custom kernel: its inputs are not seen"
        )
    ]
    names = [NAMES.get(index, f"class {index}") for index in range(1000)]
    if variant.hostile:
        names = [HOSTILE[index % len(HOSTILE)] + str(index) for index in range(1000)]
    return SubjectInfo(
        model=HOSTILE[0] if variant.hostile else "efficientnet-lite0",
        data=HOSTILE[2] if variant.hostile else "imagenet-20",
        n_examples=variant.n,
        n_available=variant.n,
        n_classes=1000,
        labelled=variant.labelled,
        preprocessing="(x − 127) / 128 at 224 px, centre crop 0.875, bicubic",
        class_names=names,
        points=points,
        uncovered=[] if variant.complete else uncovered,
    )


def _settings(variant: Variant) -> AssessSettings:
    return AssessSettings(
        bits=tuple(BITS), budgets=tuple(float(mean) for mean in variant.budgets), scheme="paper",
        weight_bits=16, per_channel=False, points="inputs", include=(), exclude=(),
        include_stem=False, batch_size=20, uniform=tuple(range(2, 11)), draws=20, rounds=8,
        exchanges=400, evaluations=2400,
        margin="prediction", max_drop=2.0,
    )  # fmt: skip


def _provenance(variant: Variant) -> Provenance:
    return Provenance(
        bitcliff="0.1.0",
        python="3.11.2",
        packages={
            "torch": "2.10.0",
            "numpy": "2.1.0",
            HOSTILE[1] if variant.hostile else "scipy": "1.14",
        },
        revision=None,
        seed=0,
        command=HOSTILE[0] if variant.hostile else "bitcliff assess --out runs/demo",
        started="2025-01-01T12:00:00+00:00",
        finished="2025-01-01T12:03:20+00:00",
        platform="Linux x86_64",
        cpu_flags=["avx2", "avx512f", "fma"],
        threads=2,
        weights_sha256="4f" * 32,
        data_sha256="a7" * 32,
        runs_user_code=variant.hostile,
    )
