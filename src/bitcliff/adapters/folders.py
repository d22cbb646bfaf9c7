"""A folder of images: one subfolder a class, or images without labels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bitcliff.adapters.images import SUFFIXES, open_image, take_images
from bitcliff.adapters.labels import map_labels
from bitcliff.adapters.outputs import image_output_count
from bitcliff.adapters.preprocessing import in_words
from bitcliff.adapters.source import Progress, Source, Taken, needed_preprocessing
from bitcliff.errors import InputError
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Preprocessing, Subject


def open_folder(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Subfolders are classes; a folder with images and no subfolders is unlabelled.

    Raises:
        InputError: empty; images both beside and inside the class folders; class names that
            match nothing; images the model has no preprocessing for.
    """
    folder = Path(spec)
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
        loose = [e for e in entries if _is_image(e)]
        classes = {e.name: _images_below(e) for e in entries if e.is_dir()}
    except OSError as error:
        raise InputError(f"{spec}: cannot be listed ({error.strerror})") from error
    if not any(classes.values()):
        if not loose:
            kinds = ", ".join(sorted(SUFFIXES))
            instead = _instead(folder) or (
                f"; give one subfolder of images for each class, or a folder of images ({kinds})"
            )
            raise InputError(f"{spec}: holds no images{instead}")
        preprocessing = needed_preprocessing(subject, spec)
        return image_files(_below(folder, loose), loose, None, preprocessing)
    if loose:
        raise InputError(
            f"{spec}: {len(loose)} images lie beside the class folders; move them into one"
        )
    preprocessing = needed_preprocessing(subject, spec)
    mapped = map_labels(
        list(classes),
        subject.class_names,
        lambda: image_output_count(subject, preprocessing),
        f"{folder} (class folders)",
        options.label_map,
    )
    files = [file for images in classes.values() for file in images]
    labels = [mapped.index[name] for name, images in classes.items() for _ in images]
    source = image_files(_below(folder, files), files, labels, preprocessing)
    return replace(source, class_names=mapped.class_names, labelling=mapped.how)


def image_files(
    ids: tuple[str, ...],
    files: Sequence[Path],
    labels: Sequence[int] | None,
    preprocessing: Preprocessing,
) -> Source:
    """Images in files, each with its id and, if labelled, its output index."""
    names = [str(file) for file in files]

    def take(indices: Sequence[int], progress: Progress | None) -> Taken:
        inputs, thumbnails = take_images(
            lambda i: open_image(files[i], names[i]), names, indices, preprocessing, progress
        )
        return Taken(inputs, in_words(preprocessing), thumbnails)

    return Source(ids, None if labels is None else np.asarray(labels, dtype=np.int64), take)


def _instead(folder: Path) -> str:
    """What a folder without images holds, and where that can go."""
    kinds = Counter(path.suffix.lower() for path in folder.rglob("*") if path.is_file())
    if not kinds:
        return ""
    (kind, count), *_ = kinds.most_common(1)
    return (
        f" but {count} files{f' *{kind}' * bool(kind)}; sound, text and other inputs go into "
        "arrays, as FILE.npz"
    )


def _below(folder: Path, files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(file.relative_to(folder).as_posix() for file in files)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")


def _images_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_image(path))
