"""Four victims, what became of each set by hand, and the record made of them."""

from bitcliff.questions.isolation.record import (
    Attack,
    Baseline,
    Checked,
    GroupsSeen,
    Isolation,
    IsolationObserved,
    PassSeen,
    PointGroups,
    Proof,
    Victim,
)
from bitcliff.questions.isolation.store import ISOLATION
from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.types.settings import IsolationSettings
from tests.report.example_record import HOSTILE as HOSTILE_NAMES
from tests.report.example_record import Variant, example_record

HOSTILE = " ".join(HOSTILE_NAMES)
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACADs="


def attack(prediction: int, flipped_at: int | None, runs: int = 20, margin: float = 1.0) -> Attack:
    return Attack(
        prediction=prediction,
        margin=margin,
        companion=HOSTILE,
        runs=runs,
        flips=int(flipped_at is not None),
        flipped_at=flipped_at,
    )


def victim(name: str, label: int | None, alone: int, data: Attack, search: Attack) -> Victim:
    attacks = {"from the data": data, "random search": search}
    worst = min(attacks, key=lambda key: attacks[key].flipped_at is None)
    full = [attacks[worst].prediction] * 2 + [alone] * 3
    return Victim(
        id=name,
        label=label,
        baseline=Baseline(
            float_prediction=1,
            alone=alone,
            margin=2.0,
            copies=alone,
            copies_same_bits=True,
            random=[alone, 1 - alone],
            reference_alone=1,
            reference_random=[1, 1],
            ours_same_bits=[True, True],
        ),
        attacks=attacks,
        checked=Checked(
            attack=worst,
            swapped=attacks[worst].prediction,
            full=full,
            reference=1,
            ours_same_bits=True,
        ),
        image=PIXEL,
        companion_image="javascript:alert(1)",
    )


def victims(labelled: bool = True) -> list[Victim]:
    label = 1 if labelled else None
    return [
        # right alone, lost by both; right, lost by the search late; wrong, gained by the data;
        # right and steady
        victim(HOSTILE, label, 1, attack(0, 3, margin=-0.5), attack(0, 7, runs=7)),
        victim("b", label, 1, attack(1, None), attack(0, 18, runs=18)),
        victim("c", label, 0, attack(1, 2, margin=-0.1), attack(0, None)),
        victim("d", label, 1, attack(1, None), attack(1, None)),
    ]


def observed(some: list[Victim] | None = None, labelled: bool = True) -> IsolationObserved:
    some = victims(labelled) if some is None else some
    like = example_record(
        Variant(n=1, uniform=False, adversary=False, budgets=(7,), hostile=True, labelled=labelled)
    )
    runtime = RuntimeDescription(
        name="ort-dynamic",
        version=HOSTILE,
        description="int8",
        quantized={"Conv": 2},
        in_float={},
    )
    return IsolationObserved(
        provenance=like.provenance,
        subject=like.subject.model_copy(update={"n_examples": len(some)}),
        runtime=runtime,
        reference_runtime=runtime,
        settings=IsolationSettings(batch=8, draws=2, candidates=3, effort=20, seed=0),
        positive_control=True,
        crafting="8-bit images",
        victims=some,
    )


POINTS = ("first", HOSTILE, "last")


def followed(crossing: int = 0, mixed: int = 0, padding: bool = False, lost: str = "") -> Isolation:
    """What was seen of three points in batches of 2, 3 and 8 texts; what is given, at the second.

    Without any of it that is a proof, and there are no victims.
    """
    whole = not (crossing or mixed or padding or lost)
    like = observed([] if whole else None)
    row = next(point for point in like.subject.points if point.quantized)
    rows = [row.model_copy(update={"name": name, "site": name}) for name in (*POINTS, "in float")]
    passes = [
        PassSeen(
            batch=batch,
            padded=padded,
            mixing="layer: mean" if mixed else "",
            mixed_output=mixed,
            lost=[lost] if lost else [],
        )
        for batch in (2, 3, 8)
        for padded in (False, True)
    ]

    def seen(name: str) -> PointGroups:
        bad = name == HOSTILE
        several = bad and bool(crossing or mixed)
        groups = [
            GroupsSeen(
                groups=4 * one.batch,
                examples=2 if several else 1,
                crossing=crossing if bad else 0,
                mixed=mixed if bad else 0,
            )
            for one in passes
        ]
        return PointGroups(name=name, seen=groups, spans=[32, 24 if bad and padding else 32])

    proof = Proof(
        numerics="vllm-int8-token",
        group="a token",
        passes=passes,
        points=[seen(name) for name in POINTS],
        in_float=["in float"],
        unknown=["_fft_c2c"],
        reads_mask=True,
    )
    subject = like.subject.model_copy(update={"points": rows, "uncovered": []})
    return ISOLATION.of(like.model_copy(update={"proof": proof, "subject": subject}))


def record(some: list[Victim] | None = None, labelled: bool = True) -> Isolation:
    return ISOLATION.of(observed(some, labelled))
