"""Forty examples of four classes, what triggers did to those held out by hand, and its record."""

from collections.abc import Sequence

import numpy as np

from bitcliff.questions.halves import Halves
from bitcliff.questions.provocation.record import GRADIENTS, Parent
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
    Universal,
    UniversalObserved,
)
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.types.settings import ProvokeSettings
from tests.questions.provocation.provoked import HOSTILE, PIXEL
from tests.report.example_record import Variant, example_record

N, CLASSES, DELTA = 80, 4, 0.5
WITHIN = "patch:3"


def judged(rows: Sequence[int], target: int) -> Judged:
    """The held-out rows at which the quantized network says the class; float leads by one."""
    predictions = np.full(N // 2, (target + 1) % CLASSES, dtype=np.int32)
    predictions[list(rows)] = target
    return Judged(leads=np.ones(N // 2), predictions=predictions)


def found(rows: Sequence[int], target: int) -> Found:
    shown = [Shown(id=HOSTILE, before=PIXEL, after="javascript:alert(1)")]
    by = judged(rows, target)
    return Found(**by.model_dump(), passes=90, told=HOSTILE, picture=PIXEL, shown=shown)


def classes(turned: Sequence[Sequence[int]], methods: Sequence[str]) -> list[ClassScan]:
    return [
        ClassScan(target=target, found={name: found(rows, target) for name in methods})
        for target, rows in enumerate(turned)
    ]


def observed(turned: Sequence[Sequence[int]]) -> UniversalObserved:
    """By class the held-out rows that every search's trigger turns, the control's too."""
    like = example_record(
        Variant(n=1, uniform=False, adversary=False, budgets=(7,), hostile=True, labelled=True)
    )
    parents = [
        Parent(id=f"{HOSTILE} {n}", wanted=n % CLASSES, float_lead=2.0, quantized_lead=1.0)
        for n in range(N)
    ]
    return UniversalObserved(
        provenance=like.provenance,
        subject=like.subject.model_copy(update={"n_examples": N, "n_classes": CLASSES}),
        numerics=RuntimeDescription(
            name="mxfp4-rceil", version="simulated", description=HOSTILE, quantized={}, in_float={}
        ),
        settings=ProvokeSettings(universal=True, within=(WITHIN,), delta=DELTA, effort=100),
        delta=DELTA,
        parents=parents,
        half=Halves(N, np.arange(0, N, 2, dtype=np.int32)).half,
        scans=[Scan(within=WITHIN, words="a square", classes=classes(turned, [*METHODS]))],
    )


EVERY = list(range(N // 2))
BACKDOOR = [[], [], EVERY, [0, 1]]
"""Class 2 alone is turned to."""


def with_remedy() -> UniversalObserved:
    """One that leaves a quarter of it, and gets half of the clean examples wrong."""
    wanted = np.array([n % CLASSES for n in range(1, N, 2)], dtype=np.int32)
    clean = np.where(np.arange(N // 2) % 2, wanted, (wanted + 1) % CLASSES).astype(np.int32)
    remedy = Remedy(
        name="other range",
        words=HOSTILE,
        clean=clean,
        before=judged(EVERY[:10], 2),
        again=classes([[], [], EVERY[:4], []], SEARCHES),
    )
    tried = Remedies(within=WITHIN, target=2, method=GRADIENTS, tried=[remedy])
    return observed(BACKDOOR).model_copy(update={"remedies": tried})


def record() -> Universal:
    return UNIVERSAL.of(with_remedy())
