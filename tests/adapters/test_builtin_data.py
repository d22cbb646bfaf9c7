import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from bitcliff.adapters import load_examples
from bitcliff.adapters.preprocessing import override
from bitcliff.errors import InputError, MissingExtra
from bitcliff.types.options import DataOptions, ModelOptions
from tests.adapters.subjects import a_subject


def test_digits_are_scaled_and_labelled() -> None:
    x, y = load_digits(return_X_y=True)
    for split, mine in (("train", slice(1437)), ("test", slice(1437, 1797))):
        options = DataOptions(split=split)
        examples = load_examples(
            "digits", subject=a_subject(10, preprocessing=None), options=options
        )
        assert isinstance(examples.inputs, torch.Tensor)
        found = examples.inputs.reshape(-1, 64).numpy()
        np.testing.assert_array_equal(found, (x[mine] / 16).astype("f4"))
        assert examples.labels is not None
        assert examples.labels.tolist() == y[mine].tolist()
        assert examples.inputs.shape == (len(found), 1, 8, 8)
        assert examples.n_available == len(found)
        assert examples.ids == tuple(map(str, range(1797)[mine]))
        assert examples.thumbnails is not None


def test_digits_have_two_splits() -> None:
    with pytest.raises(InputError, match="digits has the splits test and train"):
        load_examples("digits", subject=a_subject(10), options=DataOptions(split="val"))


def test_digits_for_a_model_of_grey_images() -> None:
    grey = override(None, ModelOptions(image_size=16, channels="grey", interpolation="nearest"))
    examples = load_examples("digits", subject=a_subject(10, preprocessing=grey), limit=20)
    assert isinstance(examples.inputs, torch.Tensor)
    assert examples.inputs.shape == (20, 1, 16, 16)
    index = int(examples.ids[0])
    expected = np.kron(load_digits().images[index] / 16, np.ones((2, 2)))
    np.testing.assert_allclose(examples.inputs[0, 0].numpy(), expected, atol=1 / 255)


def test_a_subsample_is_stratified_and_the_same_each_time() -> None:
    subject = a_subject(10, preprocessing=None)
    first, second = (load_examples("digits", subject=subject, limit=50, seed=3) for _ in range(2))
    assert first.labels is not None
    assert sorted(np.bincount(first.labels).tolist()) == [5] * 10
    assert (first.ids, first.sha256) == (second.ids, second.sha256)
    assert list(map(int, first.ids)) == sorted(map(int, first.ids))
    other = load_examples("digits", subject=subject, limit=50, seed=4)
    assert other.sha256 != first.sha256


def test_a_model_of_another_task_is_refused() -> None:
    with pytest.raises(InputError, match="digits: has 10 classes, but py:a:subject has 12 outputs"):
        load_examples("digits", subject=a_subject(12, preprocessing=None))


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "foolbox", None)
    for spec in ("digits", "imagenet-20"):
        with pytest.raises(MissingExtra, match=r"pip install 'bitcliff\[demo\]'"):
            load_examples(spec, subject=a_subject(10))


def test_imagenet_20_does_not_import_foolbox() -> None:
    load_examples("imagenet-20", subject=a_subject(1000), limit=2)
    assert "foolbox" not in sys.modules
