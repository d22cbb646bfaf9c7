"""Sounds in rooms and on lines: a real network that hears, from a folder as users have it."""

import cmaes
import pytest
import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.adapters.sound_corruptions import sound_corruptions
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.questions.provocation.observe import provoking
from bitcliff.questions.provocation.record import CONTROL, EVOLUTION, RANDOM
from bitcliff.questions.provocation.sets import neighbourhood
from bitcliff.questions.provocation.waves import waves_of
from bitcliff.types.corruption import Corruption
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.settings import ProvokeSettings
from bitcliff.types.subject import MASK, Inputs, Texts
from bitcliff.types.within import read_within
from tests.sound_models import RATE, classifier, save_model, save_tones

VALUES = "input_values"
COARSE = Format(
    activations=Numerics(element="uint2", group="example", scale="minmax-zero"),
    weights=Numerics(element="int4", group="batch", scale="amax", divisor=7.0),
    everywhere=True,
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Sounds of three lengths, padded together."""
    folder = tmp_path_factory.mktemp("tones")
    save_model(classifier(False), folder / "model")
    save_tones(folder / "data", 3)
    subject = load_model(f"hf:{folder / 'model'}")
    examples = load_examples(str(folder / "data"), subject=subject)
    settings = AssessSettings(numerics=("f",), formats={"f": COARSE}, budgets=(), include_stem=True)
    return prepare(subject, examples, settings)


def test_sounds_are_found_that_a_format_mishears_and_float_does_not(network: Prepared) -> None:
    settings = ProvokeSettings(effort=48, delta=0.1)
    given = provoking(network, "f", COARSE, settings)
    assert given.sets == ("audio:3",)
    rates = list[int | None]()

    def corruptions(rate: int | None) -> tuple[Corruption, ...]:
        rates.append(rate)
        return sound_corruptions(RATE)

    around = neighbourhood("audio:5", network, given.parents, corruptions, lambda: cmaes.CMA)
    assert rates == [RATE]
    saved = list[tuple[Inputs, Inputs]]()
    searched = given.searched(
        around,
        lambda _key, make: make(),
        lambda *_: None,
        lambda _method, _place, parent, changed: saved.append((parent, changed)),
    )
    assert [*searched.attempts] == [EVOLUTION, RANDOM, CONTROL]
    assert not any(one.failure or one.lost for one in searched.attempts[CONTROL])
    failures = [one.failure for one in searched.attempts[EVOLUTION] if one.failure]
    assert failures
    assert all(one.told and one.distance > 0 and not one.images for one in failures)
    for parent, changed in saved:
        assert isinstance(parent, Texts)
        assert isinstance(changed, Texts)
        kept = parent[MASK] != 0
        assert torch.equal(changed[MASK], parent[MASK])
        assert not changed[VALUES][~kept].any()
        # As the folder's own extractor brings all to one loudness.
        assert float(changed[VALUES][kept].std(unbiased=False)) == pytest.approx(1, abs=0.02)
        assert not torch.equal(changed[VALUES], parent[VALUES])


def test_what_is_no_sound_is_refused_in_one_line() -> None:
    def refused(text: str, inputs: Inputs) -> str:
        with pytest.raises(InputError) as told:
            waves_of(read_within(text), inputs, None)
        assert "\n" not in str(told.value)
        return str(told.value)

    sounds = torch.rand(3, 2, 800) - 0.5
    assert "no one says at what rate" in refused("audio:3", sounds)
    assert "no samples of sound, (samples,) or (channels, samples), but 3 x 8 x 8" in refused(
        "audio:3@16000", torch.rand(2, 3, 8, 8)
    )
    assert "but 80 x 300" in refused("audio:3@16000", torch.rand(2, 80, 300))
    assert "30 samples, which at 16000 Hz are less than 20 ms" in refused(
        "audio:3@16000", torch.rand(2, 30)
    )
    assert "no samples" in refused("audio:3@16000", {"input_ids": torch.ones(2, 900).long()})
    named = {"state": torch.rand(3, 2, 128), "heard": sounds, "rate": torch.ones(3)}
    found = waves_of(read_within("audio:3@16000"), named, None)
    assert (found.name, found.rate, found.full) == ("heard", 16_000, 1.0)
    other = found.put([one + 1 for one in found.of(named)], named)
    assert not isinstance(other, torch.Tensor)
    assert torch.equal(other["heard"], sounds + 1)
    assert torch.equal(other["state"], named["state"])
