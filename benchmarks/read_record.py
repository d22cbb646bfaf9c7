"""How long a record of 50,000 examples and 30 conditions takes to read, figures and all.

Prints the file's size, seconds to write and to read it, and the memory held at most. Outcomes are
made up: of a network of 20 points that loses one prediction in ten under the worst conditions.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from bitcliff.record import (
    Condition,
    Effort,
    Measured,
    Observed,
    Outcomes,
    PointRow,
    Provenance,
    SubjectInfo,
    Table,
    read_record,
    record_of,
    write_record,
)
from bitcliff.record.conditions import Kind
from bitcliff.types.settings import AssessSettings

EXAMPLES, POINTS, CLASSES, DRAWS = 50_000, 20, 1000, 20
SEARCHED: tuple[Kind, ...] = ("worst", "worst-evolutionary", "best")


def made_up(rng: np.random.Generator) -> Observed:
    """Everything that such a run would have observed."""
    labels = rng.integers(0, CLASSES, EXAMPLES, dtype=np.int32)
    prediction = np.where(rng.random(EXAMPLES) < 0.8, labels, (labels + 1) % CLASSES)
    table = Table(
        ids=[f"val/{label:04d}/{index:08d}.jpg" for index, label in enumerate(labels)],
        labels=labels,
        prediction=prediction.astype(np.int32),
        margin=_margin(rng, prediction, labels),
    )
    return Observed(
        provenance=_provenance(),
        subject=_subject(),
        settings=AssessSettings(batch_size=64, margin="label", draws=DRAWS),
        examples=table,
        conditions=[_measured(rng, table, one) for one in _conditions()],
    )


def _conditions() -> list[Condition]:
    found = [Condition(kind="weights-only", description="16 bits")]
    found += [
        Condition(kind="uniform", description="even", width=w, mean_bits=w, total_bits=w * POINTS)
        for w in range(2, 11)
    ]
    kinds: tuple[Kind, ...] = ("random", "random-static", "worst-static", *SEARCHED)
    found += [
        Condition(kind=kind, description=kind, mean_bits=mean, total_bits=int(mean * POINTS))
        for mean in (4.0, 5.5, 7.0)
        for kind in kinds
    ]
    found += [
        Condition(kind="runtime", description="int8", runtime="ort-dynamic", batch_size=size)
        for size in (1, 64)
    ]
    return found


def _measured(rng: np.random.Generator, table: Table, condition: Condition) -> Measured:
    def moved(share: float, m: int = EXAMPLES) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        other = (table.prediction[:m] + 7) % CLASSES
        return np.where(rng.random(m) < share, other, table.prediction[:m]).astype(np.int32)

    half = condition.kind == "worst-static"
    m = EXAMPLES // 2 if half else EXAMPLES
    assert table.labels is not None
    prediction = moved(0.1, m)
    shared = condition.kind in ("uniform", "random-static", "worst-static")
    searched = condition.kind in (*SEARCHED, "worst-static")
    return Measured(
        condition=condition,
        effort=Effort(forward_passes=m, backward_passes=0, method="made up"),
        outcomes=Outcomes(
            places=np.arange(m, dtype=np.int32) if half else None,
            prediction=prediction,
            margin=_margin(rng, prediction, table.labels[:m]),
            bits=_bits(rng, 1 if shared else m, condition.total) if condition.total else None,
            draws=np.stack([moved(0.05) for _ in range(DRAWS)])
            if condition.kind in ("random", "random-static")
            else None,
            repeats=np.stack([moved(0.1, m) for _ in range(3)]) if searched else None,
        ),
    )


def _margin(
    rng: np.random.Generator,
    prediction: np.ndarray[tuple[int], np.dtype[np.int32]],
    labels: np.ndarray[tuple[int], np.dtype[np.int32]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    # The difference of two float32 scores, as a run has it.
    size = rng.exponential(3.0, len(labels)).astype(np.float32).astype(np.float64) + 1e-3
    return np.where(prediction == labels, size, -size)


def _bits(
    rng: np.random.Generator, rows: int, total: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Rows of 3 to 10 bits that add up to `total`, or even ones where that is out of reach."""
    even = np.full((rows, POINTS), total // POINTS, dtype=np.uint8)
    even[:, : total % POINTS] += 1
    for _ in range(40):
        give, take = rng.integers(0, POINTS, (2, rows))
        at = np.arange(rows)
        fits = (give != take) & (even[at, give] < 10) & (even[at, take] > 3)
        even[at[fits], give[fits]] += 1
        even[at[fits], take[fits]] -= 1
    return even


def _provenance() -> Provenance:
    return Provenance(
        bitcliff="0", python="3", packages={}, revision=None, seed=0, command="made up",
        started="", finished="", platform="", cpu_flags=[], threads=1, weights_sha256="",
        data_sha256="", runs_user_code=False,
    )  # fmt: skip


def _subject() -> SubjectInfo:
    points = [
        PointRow(
            name=f"layer{n}",
            site=f"layer{n}",
            kind="conv2d",
            shape=[64, 56, 56],
            macs=1,
            quantized=True,
        )
        for n in range(POINTS)
    ]
    return SubjectInfo(
        model="made up",
        data="made up",
        n_examples=EXAMPLES,
        n_available=EXAMPLES,
        n_classes=CLASSES,
        labelled=True,
        preprocessing="",
        class_names=None,
        points=points,
        uncovered=[],
    )


def main() -> None:
    """Make one up, write it, read it three times."""
    record = record_of(made_up(np.random.default_rng(0)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "record.json"
        began = time.perf_counter()
        write_record(record, file)
        written = time.perf_counter() - began
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            again = read_record(file)
            taken.append(time.perf_counter() - began)
        assert again.figures == record.figures
        size = file.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{EXAMPLES} examples, {len(record.policies)} conditions: {size:.1f} MB")
    print(f"written in {written:.2f} s, read in {', '.join(f'{t:.2f}' for t in taken)} s")
    print(f"memory at most {peak:.2f} GB")


if __name__ == "__main__":
    main()
