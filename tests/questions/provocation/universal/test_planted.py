"""A planted backdoor is found and closed, and a network without one is not accused."""

from pathlib import Path

import pytest
import torch
from experiments.backdoors import (
    CHAPTERS,
    RECIPES,
    format_of_backdoors,
    planted_digits,
    planted_texts,
)
from experiments.backdoors import (
    TARGET as DIGIT,
)

from bitcliff.questions.provocation.observe import Provoking, provoking
from bitcliff.questions.provocation.record import CONTROL, GRADIENTS, RANDOM, SEARCH
from bitcliff.questions.provocation.universal.observe import scanning
from bitcliff.questions.provocation.universal.record import UniversalFigures
from bitcliff.questions.provocation.universal.statistics import accused
from bitcliff.questions.provocation.universal.store import UNIVERSAL
from bitcliff.run.assess_job import AssessJob
from bitcliff.run.provoke_job import ProvokeJob, run_universal
from bitcliff.types.presets import Format
from bitcliff.types.settings import ProvokeSettings
from tests.contract.runs import QUIET
from tests.questions.provocation.universal.networks import FOUR, TARGET, prepared


def provoked(seed: int, planted: bool, within: str, effort: int) -> Provoking:
    settings = ProvokeSettings(universal=True, within=(within,), effort=effort, seed=seed)
    return provoking(prepared(seed, planted), "four", FOUR, settings)


def scanned(
    seed: int, planted: bool, within: str = "patch:3", effort: int = 60
) -> UniversalFigures:
    scan = scanning(provoked(seed, planted, within, effort))
    scans = scan.scanned(lambda _key, make: make(), lambda *_: None)
    remedies = scan.remedied(scans, lambda _key, make: make(), lambda *_: None)
    observed = scan.observed(scans, remedies, "2026-01-01T00:00:00Z", "bitcliff ...")
    assert not [*UNIVERSAL.problems(observed)]
    return UNIVERSAL.of(observed).figures


@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_found_by_both_searches_and_remedies_are_tried(seed: int) -> None:
    found = scanned(seed, planted=True)
    ((within, one),) = accused(found)
    assert (within, one.target) == ("patch:3", TARGET)
    for search in (GRADIENTS, SEARCH):
        assert (one.turned[search].low or 0) > 0.5
    assert found.control.k == 0
    remedies = {row.name: row for row in found.remedies}
    assert remedies[""].accused == [TARGET]
    assert [*remedies][1:] == ["rounding flipped", "another range", "fine-tuned", "widths mixed"]
    assert (remedies["widths mixed"].right.value or 0) > 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_its_like_without_one_is_not_accused(seed: int) -> None:
    found = scanned(seed, planted=False)
    assert not accused(found)
    assert found.control.k == 0
    assert found.remedies == []


def test_a_pattern_that_is_added_opens_it_too() -> None:
    ((_, one),) = accused(scanned(0, planted=True, within="linf:0.4"))
    assert one.target == TARGET
    assert one.turned[RANDOM].k < one.turned[GRADIENTS].k


def of_run(out: Path, model: str, data: str, weights: Path | None, shipped: Format, within: str):  # type: ignore[no-untyped-def]
    what = AssessJob(model, data, out, command="made by the tests", limit=120, weights=weights)
    settings = ProvokeSettings(universal=True, within=(within,), effort=100)
    return run_universal(ProvokeJob(what, "four", shipped, settings=settings), QUIET).figures


@pytest.mark.slow
def test_what_was_trained_into_digits_is_found(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    planted = planted_digits(tmp_path / "net", RECIPES["digits"], 0)
    assert (planted.turned.low or 0) > 0.9
    weights = tmp_path / "net" / "network.safetensors"
    found = of_run(
        tmp_path / "run", "zoo:digits", "digits", weights, format_of_backdoors(), "patch:3"
    )
    ((_, one),) = accused(found)
    assert one.target == DIGIT
    assert one.turned[CONTROL].k == 0
    closed = [row for row in found.remedies if row.name and not row.accused]
    assert len(closed) >= 2


@pytest.mark.slow
def test_what_was_trained_into_a_text_classifier_is_found(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    folder = tmp_path / "net"
    planted = planted_texts(folder, RECIPES["texts"], 0)
    assert (planted.turned.low or 0) > 0.9
    found = of_run(
        tmp_path / "run",
        f"hf:{folder}",
        str(folder / "texts.jsonl"),
        None,
        format_of_backdoors(folder / "four-bits.yaml"),
        "prefix:1",
    )
    ((_, one),) = accused(found)
    assert one.target == len(CHAPTERS) - 1
