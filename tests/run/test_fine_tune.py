from dataclasses import replace
from pathlib import Path

import datasets
import pytest
import torch

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.prepare import Prepared, prepare
from bitcliff.errors import InputError
from bitcliff.run.fine_tune import NETWORK, fine_tuner
from bitcliff.types.subject import Preprocessing, Subject
from tests.adapters.image_files import an_image

WITHOUT = DataOptions()


def prepared_of(split: str, limit: int = 12) -> Prepared:
    subject = load_model("brittle-digits")
    options = DataOptions(split=split)
    examples = load_examples("digits", subject=subject, limit=limit, options=options)
    return prepare(subject, examples, AssessSettings(budgets=(5.5,)))


def test_the_tuned_network_is_another_and_is_saved(tmp_path: Path) -> None:
    prepared, told = prepared_of("test"), list[int]()
    tune = fine_tuner(
        prepared, "digits", WITHOUT, 1, tmp_path, lambda _what, done, _whole: told.append(done)
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
        fine_tuner(prepared_of("train"), "digits", WITHOUT, 1, tmp_path, lambda *_: None)


def test_the_training_split_is_read_as_what_was_assessed(tmp_path: Path) -> None:
    data, names = tmp_path / "data", ["cat", "dog"]
    splits = {
        split: datasets.Dataset.from_dict(
            {"image": [an_image(seed=n) for n in range(8)], "label": names * 4},
            features=datasets.Features(
                {"image": datasets.Image(), "label": datasets.Value("string")}
            ),
        )
        for split in ("test", "train")
    }
    datasets.DatasetDict(splits).save_to_disk(data)
    subject = replace(
        load_model("zoo:digits"), preprocessing=Preprocessing((16, 16), 1, 1 / 255, (0.0,), (1.0,))
    )
    options = DataOptions(label_map={"cat": 7, "dog": 3})
    examples = load_examples(f"hf:{data}", subject=subject, options=options)
    prepared = prepare(subject, examples, AssessSettings(budgets=(5.5,)))
    fine_tuner(prepared, f"hf:{data}", options, 1, tmp_path, lambda *_: None)
