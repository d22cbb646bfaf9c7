from pathlib import Path

import numpy as np
import pytest

from bitcliff.adapters import DataOptions, load_examples
from bitcliff.errors import InputError
from bitcliff.types.subject import Examples
from tests.adapters.subjects import a_subject


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("imagenet-2O", "no such folder or name; did you mean imagenet-20.*FILE.csv"),
        ("fashion-minst", "did you mean fashion-mnist, fashion-mnist:DIR"),
        ("oxford-iiit-pet", "did you mean oxford-iiit-pet:DIR"),
        ("cifar10", "no such folder or name.*digits"),
        ("none.npz", r"none\.npz: no such file"),
        ("none.csv", r"none\.csv: no such file"),
        ("fashion-mnist:", "no such folder or name"),
        ("hf:none", "hf:none: no such folder"),
        ("", "no such folder or name|holds no"),
        ("\0", "no such folder or name"),
    ],
)
def test_names_that_stand_for_nothing(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load_examples(spec, subject=a_subject())
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.h5").touch()
    with pytest.raises(InputError, match=r"a\.h5: a file of a kind not known; give imagenet-20"):
        load_examples(str(tmp_path / "a.h5"), subject=a_subject())


def test_a_limit_below_one() -> None:
    with pytest.raises(InputError, match="--examples 0: must be at least 1"):
        load_examples("digits", subject=a_subject(10), limit=0)


def test_the_hash_is_of_what_is_used(tmp_path: Path) -> None:
    x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])

    def digest(**arrays: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
        return load_examples(str(tmp_path / "a.npz"), subject=a_subject()).sha256

    assert digest(x=x, y=y) == digest(x=x, y=y, z=x)
    assert len({digest(x=x, y=y), digest(x=x), digest(x=x + 1, y=y), digest(x=x, y=y[::-1])}) == 4


def test_inputs_the_model_does_not_take(tmp_path: Path) -> None:
    subject = a_subject(preprocessing=None)
    subject.module.head = __import__("torch").nn.Linear(9, 3)
    np.savez(tmp_path / "a.npz", x=np.eye(4, dtype=np.float32))
    with pytest.raises(InputError, match=r"py:a:subject: does not accept inputs of shape \(4,\)"):
        load_examples(str(tmp_path / "a.npz"), subject=subject)


def test_class_numbers_of_the_data_are_mapped_to_outputs(tmp_path: Path) -> None:
    x = np.eye(4, dtype=np.float32)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([1, 2, 3, 1]))
    spec, subject = str(tmp_path / "a.npz"), a_subject()
    with pytest.raises(InputError, match=r"say which output each is: --label-map 1=0,2=1,3=2$"):
        load_examples(spec, subject=subject)
    options = DataOptions.model_validate({"label_map": "1=2, 2=0,3=1"})
    examples = load_examples(spec, subject=subject, options=options)
    assert examples.labels is not None
    assert examples.labels.tolist() == [2, 0, 1, 2]
    assert examples.preprocessing == Examples.preprocessing


def test_a_label_map_without_effect_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(4, dtype=np.float32))
    options = DataOptions(label_map={"1": 0})
    with pytest.raises(InputError, match=r"--label-map has no effect: .*a\.npz has no labels"):
        load_examples(str(tmp_path / "a.npz"), subject=a_subject(), options=options)
    with pytest.raises(InputError, match="no effect: digits knows which output each label is"):
        load_examples("digits", subject=a_subject(10, preprocessing=None), options=options)
