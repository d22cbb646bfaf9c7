"""`hf:DIR`: a data set saved by `datasets`, or a folder with parquet files."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from bitcliff.adapters.images import open_image, take_images
from bitcliff.adapters.labels import map_labels, match_names
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.outputs import class_count, image_output_count, output_count
from bitcliff.adapters.preprocessing import in_words
from bitcliff.adapters.source import Progress, Source, Taken, needed_preprocessing
from bitcliff.adapters.texts import text_source
from bitcliff.adapters.wording import listed, one_line
from bitcliff.errors import InputError
from bitcliff.tasks import NextToken, task_of
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Subject

_IMAGE_COLUMNS = ("image", "img")
_TEXT_COLUMNS = ("text", "sentence")
_LABEL_COLUMNS = ("label", "labels")
_SPLIT_IN_NAME = re.compile(r"(\w+?)-\d+-of-\d+$|(?=(?:train|test|validation|valid|dev)$)(\w+)$")

Take = Callable[[Sequence[int], Progress | None], Taken]


def open_huggingface(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Columns image or text, and label where there are labels.

    Raises:
        InputError: not a data set; no such split or columns; labels that are not classes; images
            for a text model or the other way round.
    """
    name, folder = f"hf:{spec}", Path(spec)
    if not folder.is_dir():
        raise InputError(
            f"{name}: no such folder; give one saved by datasets, or with parquet files"
        )
    datasets: Any = require("datasets", "hf", name)
    try:
        with quiet():
            data = _read(datasets, folder, options.split, name)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name}: cannot be read as a data set ({one_line(error)})") from error
    text, image = (_first(data, c) for c in (_TEXT_COLUMNS, _IMAGE_COLUMNS))
    if image is not None and (text is None or subject.tokenizer is None):
        take = _images(data, image, subject, name)
    elif text is not None:
        return _texts(datasets, data, text, subject, name, options)
    else:
        raise InputError(f"{name}: no column image or text; it has {listed(data.column_names, 9)}")
    labelled = _labels(datasets, data, subject, name, options.label_map)
    ids = _ids(data, options)
    return Source(ids, labelled.labels, take, labelled.class_names, labelled.how)


def _read(datasets: Any, folder: Path, split: str, name: str) -> Any:
    """A `datasets.Dataset`, its images left encoded."""
    if any((folder / file).exists() for file in ("dataset_dict.json", "state.json")):
        data = datasets.load_from_disk(str(folder))
        if isinstance(data, datasets.DatasetDict):
            data = data[_known_split(split, list(data), name)]
    else:
        # Read with pyarrow: load_dataset would copy everything into a cache.
        parquet: Any = require("pyarrow.parquet", "hf", name)
        arrow: Any = require("pyarrow", "hf", name)
        tables = [parquet.read_table(file) for file in _parquet_files(folder, split, name)]
        data = datasets.Dataset(datasets.table.InMemoryTable(arrow.concat_tables(tables)))
    data = data.with_format(None)
    for column, feature in data.features.items():
        if isinstance(feature, datasets.Image):
            data = data.cast_column(column, datasets.Image(decode=False))
    return data


def _parquet_files(folder: Path, split: str, name: str) -> list[Path]:
    """The files of a split: "test-00000-of-00001.parquet", "test.parquet" or "test/0000.parquet".

    All of them where no name mentions a split.
    """
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise InputError(f"{name}: neither saved by datasets (save_to_disk) nor with parquet files")
    splits = {file: found for file in files if (found := _split_of(file))}
    if not splits:
        return files
    if len(splits) < len(files):
        odd = next(file for file in files if file not in splits)
        raise InputError(
            f"{name}: {odd.relative_to(folder)} does not name its split, as others do; "
            "take it away or name it after its split"
        )
    chosen = _known_split(split, sorted(set(splits.values())), name)
    return [file for file in files if splits[file] == chosen]


def _split_of(file: Path) -> str | None:
    for part in (file.stem, file.parent.name):
        if match := _SPLIT_IN_NAME.match(part):
            return match[1] or match[2]
    return None


def _known_split(split: str, known: list[str], name: str) -> str:
    if split not in known:
        raise InputError(f"{name}: has no split {split}; give --split {' or '.join(known)}")
    return split


def _first(data: Any, columns: Sequence[str]) -> str | None:
    return next((column for column in columns if column in data.column_names), None)


@dataclass(frozen=True)
class _Labelled:
    labels: Int64[np.ndarray, " n"] | None = None
    class_names: tuple[str, ...] | None = None
    how: str = ""


def _labels(
    datasets: Any, data: Any, subject: Subject, name: str, told: Mapping[str, int] | None
) -> _Labelled:
    column = _first(data, _LABEL_COLUMNS)
    if column is None:
        return _Labelled()
    values = list(data[column])
    if all(value in (None, -1) for value in values):  # how public test sets hide their labels
        return _Labelled()
    if all(isinstance(value, str) for value in values):
        distinct = list(dict.fromkeys(values))
        where = f"{name} ({column})"
        mapped = map_labels(
            distinct,
            subject.class_names,
            class_count(subject, distinct, lambda: _outputs(subject, name)),
            where,
            told,
        )
        return _Labelled(_indices(mapped.index[v] for v in values), mapped.class_names, mapped.how)
    wrong = next((v for v in values if not isinstance(v, int) or isinstance(v, bool)), None)
    if wrong is not None or None in values:
        raise InputError(f"{name}: column {column} holds {wrong!r}; labels must be class indices")
    feature = data.features[column]
    names = tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else ()
    if names and told and all(0 <= value < len(names) for value in values):
        mapped = map_labels(names, None, lambda: 0, f"{name} ({column})", told)
        indices = _indices(mapped.index[names[value]] for value in values)
        return _Labelled(indices, mapped.class_names, mapped.how)
    if names and subject.class_names and all(0 <= value < len(names) for value in values):
        order = match_names(names, subject.class_names, name)
        if len(order) == len(names):
            how = "matched to the model's class names"
            return _Labelled(_indices(order[names[v]] for v in values), subject.class_names, how)
    return _Labelled(_indices(values), names or None, "numbered as the data set does")


def _outputs(subject: Subject, name: str) -> int:
    if subject.tokenizer is not None:
        return output_count(subject, subject.tokenizer(["text"]).inputs)
    return image_output_count(subject, needed_preprocessing(subject, name))


def _indices(values: Iterable[int]) -> Int64[np.ndarray, " n"]:
    return np.fromiter(values, dtype=np.int64)


def _images(data: Any, column: str, subject: Subject, name: str) -> Take:
    preprocessing = needed_preprocessing(subject, name)
    names = [f"{name}, row {index} of {column}" for index in range(len(data))]

    def read(index: int) -> Any:
        value = data[index][column]
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            value = Path(value)
        if not isinstance(value, bytes | Path):
            raise InputError(f"{names[index]}: holds a {type(value).__name__}, not an image")
        return open_image(value, names[index])

    def take(indices: Sequence[int], progress: Progress | None) -> Taken:
        inputs, thumbnails = take_images(read, names, indices, preprocessing, progress)
        return Taken(inputs, in_words(preprocessing), thumbnails)

    return take


def _texts(
    datasets: Any, data: Any, column: str, subject: Subject, name: str, options: DataOptions
) -> Source:
    texts, ids = list(data[column]), _ids(data, options)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{name}, row {index}: {column} holds no text")
    source = text_source(texts, ids, subject, name)
    if isinstance(task_of(subject.module), NextToken):  # which a class says nothing of
        return source
    labelled = _labels(datasets, data, subject, name, options.label_map)
    return replace(
        source,
        labels=labelled.labels,
        class_names=labelled.class_names,
        labelling=labelled.how,
    )


def _ids(data: Any, options: DataOptions) -> tuple[str, ...]:
    return tuple(f"{options.split}/{index}" for index in range(len(data)))
