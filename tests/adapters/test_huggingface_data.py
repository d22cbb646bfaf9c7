import importlib
import io
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.adapters.images import to_input
from bitcliff.errors import InputError
from bitcliff.types.subject import Subject
from tests.adapters.image_files import an_image
from tests.adapters.subjects import PREPROCESSING, a_subject, damaged
from tests.adapters.test_huggingface_models import save_bert

pa: Any = importlib.import_module("pyarrow")
pq: Any = importlib.import_module("pyarrow.parquet")


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def images(labels: list[int], names: list[str] | None = None) -> Any:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=names) if names else datasets.Value("int64"),
        }
    )
    rows = {"image": [an_image(seed=n) for n in range(len(labels))], "label": labels}
    return datasets.Dataset.from_dict(rows, features=features)


@pytest.fixture(scope="module")
def text_subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("bert")
    save_bert(folder)
    return load_model(f"hf:{folder}")


@pytest.mark.parametrize("form", ["disk", "dict", "parquet", "hub", "folders"])
def test_images_from_every_layout(tmp_path: Path, form: str) -> None:
    data = images([2, 0, 1, 2])
    if form == "disk":
        data.save_to_disk(tmp_path)
    elif form == "dict":
        other = images([0, 1])
        datasets.DatasetDict({"test": data, "train": other}).save_to_disk(tmp_path)
    elif form == "folders":
        for split in ("test", "train"):
            (tmp_path / "default" / split).mkdir(parents=True)
        data.to_parquet(tmp_path / "default" / "test" / "0000.parquet")
        images([0]).to_parquet(tmp_path / "default" / "train" / "0000.parquet")
    elif form == "parquet":
        data.to_parquet(tmp_path / "images.parquet")
    else:
        (tmp_path / "data").mkdir()
        data.select([0, 1]).to_parquet(tmp_path / "data" / "test-00000-of-00002.parquet")
        data.select([2, 3]).to_parquet(tmp_path / "data" / "test-00001-of-00002.parquet")
        images([0]).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    examples = load_examples(f"hf:{tmp_path}", subject=a_subject(3))
    assert examples.labels is not None
    assert examples.labels.tolist() == [2, 0, 1, 2]
    assert isinstance(examples.inputs, torch.Tensor)
    assert torch.equal(examples.inputs[3], to_input(an_image(seed=3), PREPROCESSING, "a"))
    assert (examples.ids[0], examples.n_available) == ("test/0", 4)
    assert examples.thumbnails is not None


def test_class_names_of_model_and_data_are_matched(tmp_path: Path) -> None:
    images([0, 1, 2], ["cat", "cow", "dog"]).save_to_disk(tmp_path)
    subject = a_subject(3, class_names=("Dog", "Cat", "Cow"))
    examples = load_examples(f"hf:{tmp_path}", subject=subject)
    assert examples.labels is not None
    assert examples.labels.tolist() == [1, 2, 0]
    assert examples.labelling == "matched to the model's class names"
    examples = load_examples(f"hf:{tmp_path}", subject=a_subject(3))
    assert examples.labels is not None
    assert examples.labels.tolist() == [0, 1, 2]
    assert examples.class_names == ("cat", "cow", "dog")


def test_texts_go_through_the_tokenizer(tmp_path: Path, text_subject: Subject) -> None:
    rows = {"text": ["a good film", "bad", "good good"], "label": [1, 0, 1]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path)
    examples = load_examples(f"hf:{tmp_path}", subject=text_subject)
    assert isinstance(examples.inputs, dict)
    assert examples.inputs["input_ids"].tolist() == [
        [2, 7, 3, 0, 0],
        [2, 6, 6, 3, 0],
        [2, 5, 6, 8, 3],
    ]
    assert examples.labels is not None
    assert examples.labels.tolist() == [0, 1, 1]
    assert examples.preprocessing == "tokenized, at most 5 tokens"
    assert examples.texts == ("bad", "good good", "a good film")
    shorter = load_examples(f"hf:{tmp_path}", subject=text_subject, limit=2)
    assert len(shorter) == 2
    assert shorter.sha256 != examples.sha256


def test_text_labels_by_name(tmp_path: Path, text_subject: Subject) -> None:
    rows = {"sentence": ["good", "bad"], "label": ["positive", "negative"]}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "test.parquet")
    examples = load_examples(f"hf:{tmp_path}", subject=text_subject)
    assert examples.labels is not None
    assert examples.labels.tolist() == [1, 0]


def test_hidden_labels_are_no_labels(tmp_path: Path) -> None:
    images([-1, -1]).save_to_disk(tmp_path)
    assert load_examples(f"hf:{tmp_path}", subject=a_subject()).labels is None


def encoded() -> bytes:
    buffer = io.BytesIO()
    an_image().save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"pixels": [1, 2]}, "no column image or text; it has pixels"),
        ({"text": ["a", "b"]}, "text, but py:a:subject does not take text"),
        ({"image": [encoded(), b"broken"], "label": [0, 1]}, "row 1 of image: unreadable"),
        ({"image": [encoded(), None], "label": [0, 1]}, "row 1 of image: holds a NoneType"),
        ({"image": [1, 2]}, "row 0 of image: holds a int, not an image"),
        ({"image": ["none.png", "none.png"]}, "row 0 of image: no such file"),
        ({"image": [encoded()] * 2, "label": [0, 3]}, "label 3 of test/1 is out of range"),
        ({"image": [encoded()] * 2, "label": [0.5, 1.0]}, "column label holds 0.5; labels must be"),
        ({"image": [encoded()] * 2, "label": [1, None]}, "column label holds None"),
        ({"image": [encoded()] * 2, "label": [1, 1]}, "all examples are of one class"),
        ({"image": [encoded()] * 2, "label": ["a", "b"]}, "2 classes .* match neither"),
        ({"image": pa.array([], pa.binary())}, "holds no examples"),
    ],
)
def test_data_that_cannot_be_used(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "test.parquet")
    with pytest.raises(InputError, match=message) as caught:
        load_examples(f"hf:{tmp_path}", subject=a_subject(3))
    assert "\n" not in str(caught.value)


def test_splits_and_folders_that_are_not_there(tmp_path: Path) -> None:
    subject = a_subject(3)
    with pytest.raises(InputError, match="neither saved by datasets"):
        load_examples(f"hf:{tmp_path}", subject=subject)
    pq.write_table(pa.table({"image": [encoded()]}), tmp_path / "train.parquet")
    with pytest.raises(InputError, match="has no split test; give --split train"):
        load_examples(f"hf:{tmp_path}", subject=subject)
    options = DataOptions(split="train")
    assert len(load_examples(f"hf:{tmp_path}", subject=subject, options=options)) == 1
    (tmp_path / "dataset_dict.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as a data set"):
        load_examples(f"hf:{tmp_path}", subject=subject)


def test_images_for_a_text_model_are_refused(tmp_path: Path, text_subject: Subject) -> None:
    images([0, 1]).save_to_disk(tmp_path)
    with pytest.raises(InputError, match=r"images, but .* takes text"):
        load_examples(f"hf:{tmp_path}", subject=text_subject)


def test_damaged_parquet_is_refused_or_loads(tmp_path: Path) -> None:
    file, subject, refused = tmp_path / "a.parquet", a_subject(3), 0
    pq.write_table(pa.table({"image": [encoded()] * 3, "label": [0, 1, 2]}), file)
    for data in damaged(file.read_bytes(), flips=40, cuts=10):
        file.write_bytes(data)
        try:
            examples = load_examples(f"hf:{tmp_path}", subject=subject)
        except InputError:
            refused += 1
            continue
        assert isinstance(examples.inputs, torch.Tensor)
        assert examples.inputs.shape[1:] == (3, 16, 16)
    assert refused > 10


def test_a_file_of_no_split_among_files_of_splits_is_refused(tmp_path: Path) -> None:
    images([0, 1]).to_parquet(tmp_path / "test.parquet")
    images([0, 1]).to_parquet(tmp_path / "extra.parquet")
    with pytest.raises(InputError, match=r"extra.parquet does not name its split"):
        load_examples(f"hf:{tmp_path}", subject=a_subject(3))
