"""Six examples, what searches made of each set by hand, and the record made of them."""

from bitcliff.questions.provocation.record import (
    CONTROL,
    GRADIENTS,
    RANDOM,
    SEARCH,
    Attempt,
    Failure,
    Parent,
    Provocation,
    ProvocationObserved,
    Ranked,
    Searched,
    Tried,
)
from bitcliff.questions.provocation.store import PROVOKE
from bitcliff.questions.runtime_description import RuntimeDescription
from bitcliff.types.settings import ProvokeSettings
from tests.report.example_record import HOSTILE as HOSTILE_NAMES
from tests.report.example_record import Variant, example_record

HOSTILE = " ".join(HOSTILE_NAMES)
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACADs="


def failure(lead: float, stays: int | None = 3) -> Failure:
    return Failure(
        float_lead=lead,
        quantized_lead=-0.25,
        prediction=0,
        distance=0.03,
        stays=stays,
        told=HOSTILE,
        images=[PIXEL, "javascript:alert(1)", PIXEL],
    )


def parents() -> list[Parent]:
    leads = [(HOSTILE, 3.0, 2.0), ("b", 2.0, 1.0), ("c", 1.0, 0.5), ("d", 4.0, -1.0)]
    leads += [("e", 0.25, 0.2), ("f", -1.0, -1.0)]
    return [
        Parent(id=name, wanted=1, float_lead=lead, quantized_lead=other)
        for name, lead, other in leads
    ]


def observed() -> ProvocationObserved:
    """The first three can fail; the fourth fails as it is; of the fifth float is not sure."""
    like = example_record(
        Variant(n=1, uniform=False, adversary=False, budgets=(7,), hostile=True, labelled=True)
    )
    nothing = Attempt(passes=100)
    by_gradient = [Attempt(passes=6, failure=failure(1.5)), nothing, Attempt(passes=40, lost=True)]
    by_search = [
        Attempt(passes=30, failure=failure(2.5, 2)),
        Attempt(passes=50, failure=failure(0.5)),
        nothing,
    ]
    attempts = {
        GRADIENTS: by_gradient,
        SEARCH: by_search,
        RANDOM: [nothing, Attempt(passes=80, failure=failure(0.75, 0)), nothing],
        CONTROL: [nothing] * 3,
    }
    within = "linf:8/255"
    return ProvocationObserved(
        provenance=like.provenance,
        subject=like.subject.model_copy(update={"n_examples": 6}),
        numerics=RuntimeDescription(
            name="mxfp4-rceil", version="simulated", description=HOSTILE, quantized={}, in_float={}
        ),
        settings=ProvokeSettings(within=(within,), delta=0.5, effort=100),
        delta=0.5,
        parents=parents(),
        searched=[Searched(within=within, words="a little", attempts=attempts)],
    )


def ranked() -> Ranked:
    """Of 90 inputs three are run first, two of which fail; one of three at random fails too."""
    rows = [("p0", -0.5), (HOSTILE, -0.25), ("p2", 0.5), ("p3", 1.0), ("p4", -0.75), ("p5", 2.0)]
    tried = [
        Tried(
            id=name,
            decided=1,
            float_lead=1.0,
            quantized_lead=lead,
            prediction=0 if lead < 0 else 1,
        )
        for name, lead in rows
    ]
    return Ranked(
        within=f"data:{HOSTILE}",
        data=HOSTILE,
        sha256="1" * 64,
        n=90,
        led=60,
        fitted=0,
        tried=tried,
        first=["p0", HOSTILE, "p2"],
        by_lead=["p0", HOSTILE, "p2"],
        at_random=["p3", "p4", "p5"],
    )


def record() -> Provocation:
    return PROVOKE.of(observed())
