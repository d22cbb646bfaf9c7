"""A folder of pictures: one subfolder a class, or pictures without labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bitcliff.adapters.labels import map_labels
from bitcliff.adapters.outputs import picture_output_count
from bitcliff.adapters.pictures import SUFFIXES, open_picture, take_pictures
from bitcliff.adapters.preprocessing import in_words
from bitcliff.adapters.source import Progress, Source, Taken, needed_preprocessing
from bitcliff.errors import InputError
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Preprocessing, Subject


def open_folder(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Subfolders are classes; a folder with pictures and no subfolders is unlabelled.

    Raises:
        InputError: empty; pictures both beside and inside the class folders; class names that
            match nothing; pictures the model has no preprocessing for.
    """
    del options
    folder = Path(spec)
    preprocessing = needed_preprocessing(subject, spec)
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
        loose = [e for e in entries if _is_picture(e)]
        classes = {e.name: _pictures_below(e) for e in entries if e.is_dir()}
    except OSError as error:
        raise InputError(f"{spec}: cannot be listed ({error.strerror})") from error
    if not any(classes.values()):
        if not loose:
            raise InputError(
                f"{spec}: holds no pictures; give one subfolder of pictures for each class, or a "
                f"folder of pictures ({', '.join(sorted(SUFFIXES))})"
            )
        return picture_files(_below(folder, loose), loose, None, preprocessing)
    if loose:
        raise InputError(
            f"{spec}: {len(loose)} pictures lie beside the class folders; move them into one"
        )
    return _labelled(folder, classes, subject, preprocessing)


def _labelled(
    folder: Path, classes: dict[str, list[Path]], subject: Subject, preprocessing: Preprocessing
) -> Source:
    mapped = map_labels(
        list(classes),
        subject.class_names,
        lambda: picture_output_count(subject, preprocessing),
        f"{folder} (class folders)",
    )
    files = [file for pictures in classes.values() for file in pictures]
    labels = [mapped.index[name] for name, pictures in classes.items() for _ in pictures]
    source = picture_files(_below(folder, files), files, labels, preprocessing)
    return replace(source, class_names=mapped.class_names, labelling=mapped.how)


def picture_files(
    ids: tuple[str, ...],
    files: Sequence[Path],
    labels: Sequence[int] | None,
    preprocessing: Preprocessing,
) -> Source:
    """Pictures in files, each with its id and, if labelled, its output index."""
    names = [str(file) for file in files]

    def take(indices: Sequence[int], progress: Progress | None) -> Taken:
        inputs, thumbnails = take_pictures(
            lambda i: open_picture(files[i], names[i]), names, indices, preprocessing, progress
        )
        return Taken(inputs, in_words(preprocessing), thumbnails)

    return Source(ids, None if labels is None else np.asarray(labels, dtype=np.int64), take)


def _below(folder: Path, files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(file.relative_to(folder).as_posix() for file in files)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _pictures_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_picture(path))
