"""The page of `bitcliff batchmates`, as text and in a browser, and its figures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bitcliff.questions.batchmates.page import batchmates_lines, render_batchmates
from bitcliff.questions.batchmates.plot import curve
from bitcliff.questions.batchmates.record import (
    Attack,
    Baseline,
    Batchmates,
    Checked,
    Victim,
)
from bitcliff.questions.batchmates.statistics import situations
from bitcliff.questions.runtimes.record import RuntimeDescription
from bitcliff.stats import rate
from bitcliff.types.settings import BatchmatesSettings
from tests.browser import Visit, contrast, inks, launched
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
            twin_alone=1,
            twin_random=[1, 1],
            ours_same_bits=[True, True],
        ),
        attacks=attacks,
        checked=Checked(
            attack=worst, swapped=attacks[worst].prediction, full=full, twin=1, ours_same_bits=True
        ),
        picture=PIXEL,
        companion_picture="javascript:alert(1)",
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


def record(labelled: bool = True) -> Batchmates:
    like = example_record(Variant(hostile=True, labelled=labelled))
    runtime = RuntimeDescription(
        name="ort-dynamic",
        version=HOSTILE,
        description="int8",
        quantized={"Conv": 2},
        in_float={},
    )
    return Batchmates(
        provenance=like.provenance,
        subject=like.subject,
        runtime=runtime,
        twin=runtime,
        settings=BatchmatesSettings(batch=8, draws=2, candidates=3, effort=20, seed=0),
        planted_flips=True,
        crafting="8-bit pictures",
        accuracy_alone=rate(3, 4) if labelled else None,
        as_float_alone=rate(3, 4),
        ours_changed=rate(0, 12),
        situations=situations(victims(labelled)),
        victims=victims(labelled),
    )


def test_figures_count_what_became_of_each_victim() -> None:
    rows = {row.name: row for row in situations(victims())}
    data, search, both = (rows[n] for n in ("from the data", "random search", "any of these"))
    assert (data.flips.k, data.lost, data.gained, data.p_value) == (2, 1, 1, 1.0)
    assert (search.flips.k, search.lost, search.gained, search.runs) == (2, 2, 0, 65)
    assert (both.flips.k, both.lost, both.gained) == (3, 2, 1)
    assert search.lost_right is not None
    # The third was not right alone, so it had nothing to lose.
    assert (search.lost_right.k, search.lost_right.n) == (2, 3)
    assert search.delta_pp == -50
    assert (rows["at random"].flips.k, rows["at random"].flips.n) == (4, 8)
    assert rows["float, at random"].flips.k == rows["float, worst companion"].flips.k == 0
    stays = rows["flips that stay in full batches"].flips
    assert (stays.k, stays.n) == (6, 15)
    assert rows["flips that stay, places swapped"].flips.k == 3


def test_without_labels_only_flips_are_told() -> None:
    row = situations(victims(labelled=False))[0]
    assert (row.flips.k, row.lost, row.p_value, row.p_value_holm) == (2, None, None, None)
    assert "McNemar" not in render_batchmates(record(labelled=False))


def test_the_curve_climbs_at_each_first_flip() -> None:
    assert curve(record(), "random search") == [(1, 0), (7, 1), (18, 2), (20, 2)]


def test_the_terminal_tells_the_finding_first() -> None:
    lines = batchmates_lines(record())
    assert lines[0] == "A chosen or crafted batch-mate changes 3 of 4 answers."
    assert any(line.startswith("at random") and "50.0 % (4/8)" in line for line in lines)
    assert "At random, lost and gained are of each victim's first draw alone." in lines


def test_no_flip_is_no_proof() -> None:
    calm = victims()[3:]
    quiet = record().model_copy(update={"victims": calm, "situations": situations(calm)})
    page = render_batchmates(quiet)
    assert "no proof that none ever will" in page
    assert batchmates_lines(quiet)[0] == (
        "No batch-mate was found that changes any of the 1 answers."
    )


def test_names_and_pictures_from_data_cannot_do_anything() -> None:
    page = render_batchmates(record())
    assert "<script" not in page
    assert "javascript:" not in page
    assert page == render_batchmates(record())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_browser_shows_it_legibly_without_a_complaint(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_batchmates(record()))
    with Visit(browser, file, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".couple").count() == 3
        assert min(contrast(ink, ground) for ink, ground, _ in inks(page)) >= 4.5
