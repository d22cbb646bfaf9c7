from pathlib import Path

import pytest
import torch

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.run.fine_tune import NETWORK, fine_tuner
from bitcliff.types.subject import Subject


def prepared_of(split: str, limit: int = 12) -> Prepared:
    subject = load_model("brittle-digits")
    options = DataOptions(split=split)
    examples = load_examples("digits", subject=subject, limit=limit, options=options)
    return prepare(subject, examples, AssessSettings(budgets=(5.5,)))


def test_the_tuned_network_is_another_and_is_saved(tmp_path: Path) -> None:
    prepared, told = prepared_of("test"), list[int]()
    tune = fine_tuner(
        prepared, "digits", 1, tmp_path, lambda _what, done, _whole: told.append(done)
    )
    tuned = tune(5.5)
    assert told
    assert [file.name for file in tmp_path.iterdir()] == [NETWORK]
    saved: Subject = load_model("zoo:digits", weights=tmp_path / NETWORK)
    assert saved.weights_sha256 == tuned.weights_sha256 != prepared.subject.weights_sha256
    assert tuned.name == "zoo:digits"
    inputs = prepared.examples.inputs
    with torch.no_grad():
        assert torch.equal(saved.module(inputs), tuned.module(inputs))
        assert not torch.equal(saved.module(inputs), prepared.subject.module(inputs))


def test_what_was_assessed_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training split apart from what was assessed"):
        fine_tuner(prepared_of("train"), "digits", 1, tmp_path, lambda *_: None)
