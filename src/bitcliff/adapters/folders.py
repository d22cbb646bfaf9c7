"""A folder of images or sounds: one subfolder a class, or files without labels."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bitcliff.adapters import images, sounds
from bitcliff.adapters.boxes import box_targets
from bitcliff.adapters.images import open_image, take_images
from bitcliff.adapters.labels import map_labels
from bitcliff.adapters.outputs import class_count, image_output_count
from bitcliff.adapters.preprocessing import in_words
from bitcliff.adapters.source import Progress, Source, Taken, needed_preprocessing
from bitcliff.adapters.targets import maps_of
from bitcliff.errors import InputError
from bitcliff.points.find_task import refuse_labels
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.detection import Detection
from bitcliff.tasks.positions import Positions
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import Preprocessing, Subject


def open_folder(spec: str, subject: Subject, options: DataOptions) -> Source:
    """Subfolders are classes; a folder with files and no subfolders is unlabelled.

    Sounds for a model that takes sound, else images.

    Raises:
        InputError: empty; files both beside and inside the class folders; class names that match
            nothing; images the model has no preprocessing for, or sounds where it takes none.
    """
    folder = Path(spec)
    if options.labels is not None:
        return _labelled_beside(folder, Path(options.labels), subject, options)
    try:
        is_sound = _are_sounds(folder.rglob("*"), subject)
        suffixes = (sounds if is_sound else images).SUFFIXES
        what = "sounds" if is_sound else "images"
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
        loose = [e for e in entries if _is_of(e, suffixes)]
        classes = {e.name: _below(e, suffixes) for e in entries if e.is_dir()}
    except OSError as error:
        raise InputError(f"{spec}: cannot be listed ({error.strerror})") from error
    if not any(classes.values()):
        if not loose:
            kinds = ", ".join(sorted(suffixes))
            instead = _instead(folder) or (
                f"; give one subfolder of {what} for each class, or a folder of {what} ({kinds})"
            )
            raise InputError(f"{spec}: holds no {what}{instead}")
        return files_source(_ids(folder, loose), loose, None, subject, spec)
    if loose:
        raise InputError(
            f"{spec}: {len(loose)} {what} lie beside the class folders; move them into one"
        )
    refuse_labels(subject.module, spec)
    files = [file for found in classes.values() for file in found]
    mapped = map_labels(
        list(classes),
        subject.class_names,
        class_count(subject, classes, files_output_count(files, subject, spec)),
        f"{folder} (class folders)",
        options.label_map,
    )
    labels = [mapped.index[name] for name, found in classes.items() for _ in found]
    source = files_source(_ids(folder, files), files, labels, subject, spec)
    return replace(source, class_names=mapped.class_names, labelling=mapped.how)


def _labelled_beside(folder: Path, labels: Path, subject: Subject, options: DataOptions) -> Source:
    """Images, and what `--labels` says of each: boxes, or maps of classes."""
    task = task_of(subject.module)
    kind = task.kind if isinstance(task, AgainstFloat) else None
    if not isinstance(kind, Detection | Positions):
        raise InputError(
            f"--labels {labels}: is of boxes or maps of classes, of which --task {task.name} knows "
            "nothing; leave it out"
        )
    if not labels.exists():
        raise InputError(f"--labels {labels}: no such file or folder")
    preprocessing = needed_preprocessing(subject, str(folder))
    apart = labels if labels != folder else None  # .xml may lie beside the images, maps may not
    files = [file for file in _below(folder, images.SUFFIXES) if apart not in file.parents]
    if not files:
        raise InputError(f"{folder}: holds no images")
    source = image_files(_ids(folder, files), files, None, preprocessing)
    if isinstance(kind, Positions):
        return replace(source, targets=maps_of(labels, files, folder, preprocessing))
    targets, how = box_targets(labels, files, folder, subject, preprocessing, options.label_map)
    return replace(source, targets=targets, labelling=how)


def files_source(
    ids: tuple[str, ...],
    files: Sequence[Path],
    labels: Sequence[int] | None,
    subject: Subject,
    spec: str,
) -> Source:
    """Sounds or images in files, each with its id and, if labelled, its output index.

    Raises:
        InputError: the subject does not take them.
    """
    if _are_sounds(files, subject):
        hearing = sounds.hearing_of(subject, spec)
        return sounds.sound_files(ids, files, labels, hearing, subject.module)
    return image_files(ids, files, labels, needed_preprocessing(subject, spec))


def files_output_count(files: Sequence[Path], subject: Subject, spec: str) -> Callable[[], int]:
    """What counts how many decisions the subject chooses among, of files as `files_source` has."""
    if _are_sounds(files, subject):
        return partial(sounds.sound_output_count, subject, sounds.hearing_of(subject, spec))
    return partial(image_output_count, subject, needed_preprocessing(subject, spec))


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
    return f" but {count} files{f' *{kind}' * bool(kind)}; other inputs go into arrays, as FILE.npz"


def _are_sounds(files: Iterable[Path], subject: Subject) -> bool:
    """Whether files are sounds and not images; of both or neither, what the subject takes."""
    kinds = {file.suffix.lower() for file in files}
    heard, seen = bool(kinds & sounds.SUFFIXES), bool(kinds & images.SUFFIXES)
    return heard if heard != seen else subject.hearing is not None


def _ids(folder: Path, files: Sequence[Path]) -> tuple[str, ...]:
    return tuple(file.relative_to(folder).as_posix() for file in files)


def _is_of(path: Path, suffixes: frozenset[str]) -> bool:
    return path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")


def _below(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_of(path, suffixes))
