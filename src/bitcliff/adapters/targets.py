"""Labels of tasks that are no single choice, as the fields of a table write them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from bitcliff.adapters.images import image_size, to_input
from bitcliff.adapters.optional import quiet, require
from bitcliff.adapters.source import Source
from bitcliff.adapters.wording import one_line, shortened
from bitcliff.errors import InputError
from bitcliff.points.find_task import every_output
from bitcliff.tasks import Task
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.ctc import Ctc
from bitcliff.tasks.neighbours import Verification
from bitcliff.tasks.positions import Positions
from bitcliff.tasks.values import numbers_of
from bitcliff.types.subject import Preprocessing, Subject

# What fills up strings, and maps of classes.
_FILL = -1
_SAME = {"same": 1, "1": 1, "different": 0, "0": 0}
_MAPS = frozenset({".png", ".bmp", ".tif", ".tiff"})
# A 16-bit map may be of more classes than this; no network is.
_MOST_CLASSES = 2**15


def targets_of(task: AgainstFloat, fields: Sequence[str], subject: Subject, table: str) -> Tensor:
    """What is wanted of each row, as `Comparison.told` takes it: (rows, *rest).

    A string for `ctc`, of the model's own symbols; for `positions` the path of an image whose
    values are classes, relative to the table and resized and cropped as the images are; else
    numbers with spaces between.

    Raises:
        InputError: one line that names the row.
    """
    found = []
    for line, field in enumerate(fields, start=2):
        try:
            if isinstance(task.kind, Ctc):
                found.append(_symbols(field, subject.class_names))
            elif isinstance(task.kind, Positions):
                found.append(_map(Path(table).parent / field, subject.preprocessing))
            else:
                found.append(_numbers(field))
        except InputError as error:
            raise InputError(f"{table}, row {line}: {error}") from error
    if not isinstance(task.kind, Ctc) and len({one.shape for one in found}) > 1:
        raise InputError(f"{table}: its labels are not of one length")
    return pad_sequence(found, batch_first=True, padding_value=_FILL)


def pair_targets(
    partners: Source, labels: Sequence[str], subject: Subject, where: Sequence[str]
) -> Tensor:
    """(n, values + 1): what float gives for the other one of each pair, and 1 where they are the
    same, else 0.

    Args:
        labels: same or different, or 1 or 0. where: of each, for errors.

    Raises:
        InputError: another label; the network does not take the others.
    """
    for place, label in zip(where, labels, strict=True):
        if label not in _SAME:
            raise InputError(f"{place}: label {shortened(label)!r}; must be same or different")
    with quiet():
        inputs = partners.take(range(len(partners.ids)), None).inputs
        vectors = numbers_of(every_output(subject.module, inputs)).double()
    same = torch.tensor([_SAME[label] for label in labels], dtype=torch.float64)
    return torch.cat([vectors.cpu(), same[:, None]], 1)


def about_pairs(task: Task) -> bool:
    """Whether a task asks of two examples if they are the same."""
    return isinstance(task, AgainstFloat) and isinstance(task.kind, Verification)


def refuse_pairs(task: Task, where: str) -> None:
    """Data whose examples are paired with others.

    Raises:
        InputError: the task is not about pairs, which would be one by one without a word.
    """
    if not about_pairs(task):
        raise InputError(
            f"{where}: has pairs (with): say from which cosine on two are the same, by --task "
            "verification:COSINE, or leave that column out"
        )


def maps_of(
    labels: Path, files: Sequence[Path], folder: Path, preprocessing: Preprocessing
) -> Tensor:
    """(n, height, width) classes, of the map that is named as each image is, and laid out so too
    where several are.

    Raises:
        InputError: none such, or several; not a map of classes, or of another image's proportions.
    """
    named = dict[str, list[Path]]()
    for file in sorted(labels.rglob("*")) if labels.is_dir() else ():
        if file.suffix.lower() in _MAPS:
            named.setdefault(file.stem, []).append(file)
    found = []
    for file in files:
        own, laid_out = named.get(file.stem, []), file.relative_to(folder).with_suffix("")
        if len(own) > 1:
            own = [one for one in own if one.relative_to(labels).with_suffix("") == laid_out]
        if len(own) != 1:
            raise InputError(
                f"--labels {labels}: has {len(own) or 'no'} maps named {laid_out} (.png, .bmp or "
                f".tif), for {file.name}; give one for each image"
            )
        found.append(_map(own[0], preprocessing, image_size(file)))
    return torch.stack(found)


def _symbols(text: str, names: tuple[str, ...] | None) -> Tensor:
    if names is None:
        raise InputError(
            "the label is a string, but the model does not name its symbols: give them by number, "
            "as y of a .npz"
        )
    known = {name: number for number, name in enumerate(names)}
    odd = [letter for letter in text if letter not in known]
    if odd:
        raise InputError(f"the model has no symbol {odd[0]!r}, which the label has")
    return torch.tensor([known[letter] for letter in text])


def _numbers(field: str) -> Tensor:
    try:
        found = torch.tensor([float(one) for one in field.split()], dtype=torch.float64)
    except ValueError:
        found = torch.tensor([torch.nan])
    if not bool(found.isfinite().all()):
        raise InputError(f"the label must be numbers with spaces between, not {shortened(field)!r}")
    return found


def _map(
    file: Path, preprocessing: Preprocessing | None, size: tuple[int, int] | None = None
) -> Tensor:
    """(height, width) of the model's input; `size`: width and height of the image it is of."""
    module: Any = require("PIL.Image", "vision", f"{file} (an image)")
    try:
        with quiet(), module.open(file, formats=("PNG", "BMP", "TIFF")) as image:
            classes = np.asarray(image)
    except Exception as error:  # decoders let almost anything through on damaged files
        raise InputError(f"{file}: unreadable as an image ({one_line(error)})") from error
    if classes.ndim != 2 or classes.dtype.kind not in "bui" or classes.max() > _MOST_CLASSES:
        raise InputError(f"{file}: not an image whose values are classes (of one channel)")
    if size is not None and abs(classes.shape[1] * size[1] / size[0] - classes.shape[0]) > 1:
        raise InputError(
            f"{file}: {classes.shape[1]} x {classes.shape[0]} pixels are no map of an image of "
            f"{size[0]} x {size[1]} upright"
        )
    if preprocessing is None:
        return torch.from_numpy(classes.astype(np.int64))
    plain = replace(
        preprocessing, channels=1, scale=1.0, mean=(0.0,), std=(1.0,), interpolation="nearest",
        channels_last=False, bgr=False,
    )  # fmt: skip
    # As floats, which Pillow resizes without a look at them, also those above 255.
    drawn = module.fromarray(classes.astype(np.float32))
    return to_input(drawn, plain, str(file))[0].long()
