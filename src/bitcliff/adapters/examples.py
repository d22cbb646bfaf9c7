"""Names of data, and the way each goes: open, choose, check, read."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from bitcliff.adapters.arrays import open_npz, read_gallery
from bitcliff.adapters.builtin_data import open_digits, open_imagenet_20
from bitcliff.adapters.folders import open_folder
from bitcliff.adapters.huggingface_data import open_huggingface
from bitcliff.adapters.idx import open_fashion_mnist, open_installed_fashion_mnist
from bitcliff.adapters.labels import AS_TOLD, in_pairs, map_labels
from bitcliff.adapters.normalisation import tried
from bitcliff.adapters.optional import quiet
from bitcliff.adapters.outputs import output_count
from bitcliff.adapters.oxford_pet import open_oxford_pet
from bitcliff.adapters.source import (
    Opener,
    Progress,
    Source,
    Taken,
    UnknownNormalisation,
    check_shape,
)
from bitcliff.adapters.subsample import choose
from bitcliff.adapters.tables import open_table
from bitcliff.adapters.texts import open_jsonl, open_lines
from bitcliff.errors import InputError, nearest
from bitcliff.points.find_task import learn_from_all, refuse_labels
from bitcliff.points.forward import logits_of, take
from bitcliff.tasks import NextToken, task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.multiple_choice import MultipleChoice
from bitcliff.tasks.neighbours import Nearest
from bitcliff.tasks.top_k import TopK
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import (
    AllInputs,
    Examples,
    Preprocessing,
    Subject,
    Texts,
    examples_sha256,
    in_parts,
)

BUILT_IN: dict[str, Opener] = {
    "imagenet-20": open_imagenet_20,
    "digits": open_digits,
    "fashion-mnist": open_installed_fashion_mnist,
}
PREFIXES: dict[str, Opener] = {
    "fashion-mnist": open_fashion_mnist,
    "oxford-iiit-pet": open_oxford_pet,
    "hf": open_huggingface,
}
SUFFIXES: dict[str, Opener] = {
    ".npz": open_npz,
    ".csv": open_table,
    ".txt": open_lines,
    ".jsonl": open_jsonl,
}

_NAMES = (*BUILT_IN, *(f"{prefix}:DIR" for prefix in PREFIXES))
_ACCEPTED = (
    f"{', '.join(_NAMES)}, FILE.npz, FILE.csv, FILE.txt, FILE.jsonl or a folder of images or sounds"
)
_DEFAULTS = DataOptions()


def load_examples(
    spec: str,
    *,
    subject: Subject,
    limit: int | None = None,
    seed: int = 0,
    options: DataOptions = _DEFAULTS,
    progress: Progress | None = None,
) -> Examples:
    """Loads the data that a name stands for, as the subject takes it.

    Args:
        spec: "imagenet-20", "digits", "fashion-mnist" or "fashion-mnist:DIR",
            "oxford-iiit-pet:DIR", "hf:DIR", a .npz or .csv file, or a folder of images or sounds.
        limit: how many examples to keep, chosen with `seed` and in proportion to the classes,
            before anything is decoded; None: all.
        progress: called with (done, all) while images are read.

    Raises:
        InputError: one line that names what is wrong and what would be right.
        MissingExtra: a package that this data needs is not installed.
    """
    if limit is not None and limit < 1:
        raise InputError(f"--examples {limit}: must be at least 1")
    source = _opened(spec, subject, options, seed)
    if not source.ids:
        raise InputError(f"{spec}: holds no examples")
    if source.labels is not None:
        refuse_labels(subject.module, spec)
        _refuse_one_class(source.labels, subject, spec)
    indices = [int(i) for i in choose(source.labels, len(source.ids), limit, seed)]
    # One example first: a wrong shape or label should not cost the decoding of all.
    first = next(in_parts(source.take(indices[:1], None).inputs))
    if subject.input_shape is not None and isinstance(first, Tensor):
        shape = (len(source.ids), *first.shape[1:])
        check_shape(f"{spec}: the input", shape, subject.name, subject.input_shape)
    outputs = output_count(subject, first)
    source = _with_classes_wanted(source, subject)
    _tell(subject, first, source, indices[:1], spec)
    labels = _checked_labels(source, outputs, spec, subject.name)
    taken = source.take(indices, progress)
    if isinstance(taken.inputs, Texts):
        indices, taken = _by_length(indices, taken, taken.inputs)
    kept = None if labels is None else torch.from_numpy(labels[indices])
    wanted = _tell(subject, taken.inputs, source, indices, spec)
    with quiet():
        learn_from_all(subject.module, taken.inputs)
    if wanted is not None:
        kept = torch.zeros(len(indices), dtype=torch.int64)  # the first decision: as labelled
    return Examples(
        name=spec,
        inputs=taken.inputs,
        labels=kept,
        ids=tuple(source.ids[i] for i in indices),
        n_available=len(source.ids),
        sha256=examples_sha256(taken.inputs, kept if wanted is None else wanted),
        class_names=source.class_names,
        preprocessing=taken.preprocessing,
        labelling=source.labelling,
        thumbnails=taken.thumbnails,
        texts=taken.texts,
        waves=taken.waves,
        wanted=None if source.wanted is None else tuple(source.wanted[i] for i in indices),
    )


def _refuse_one_class(labels: Int64[np.ndarray, " n"], subject: Subject, spec: str) -> None:
    """Of classes; that a question's right choice always comes first, or that texts go on alike,
    says nothing of a language model, which is not told."""
    of_classes = not isinstance(task_of(subject.module), MultipleChoice | NextToken)
    if of_classes and len(np.unique(labels)) < 2:
        raise InputError(
            f"{spec}: all examples are of one class ({labels[0]}); give at least two "
            "classes, or leave the labels out (a folder of the files alone, a .npz without y)"
        )


def _tell(
    subject: Subject, inputs: AllInputs, source: Source, indices: list[int], spec: str
) -> Tensor | None:
    """Let the task know what is wanted of these examples, where the data says so."""
    if source.targets is None:
        return None
    task, wanted = task_of(subject.module), source.targets[torch.tensor(indices)]
    assert isinstance(task, AgainstFloat)  # noqa: S101  (no other data has targets)
    try:
        task.tell(inputs, wanted)
        with torch.no_grad(), quiet():
            logits_of(subject.module, take(inputs, torch.tensor([0])))
    except InputError as error:
        raise InputError(f"{spec}: {error}") from error
    return wanted


def _with_classes_wanted(source: Source, subject: Subject) -> Source:
    """Classes made what is wanted, where a task is about them; and the file read in which
    neighbours are looked for."""
    task, labels = task_of(subject.module), source.labels
    if not isinstance(task, AgainstFloat) or not isinstance(task.kind, Nearest | TopK):
        return source
    if isinstance(task.kind, Nearest) and task.kind.file is not None:
        task.kind.fill(*read_gallery(task.kind.file, labelled=labels is not None))
    return source if labels is None else replace(source, labels=None, targets=torch.tensor(labels))


def _by_length(indices: list[int], taken: Taken, texts: Texts) -> tuple[list[int], Taken]:
    """Those of one length side by side, since they are run together."""
    order = texts.lengths.argsort(stable=True)
    inputs = take(texts, order)
    places = order.tolist()
    said = None if taken.texts is None else tuple(taken.texts[place] for place in places)
    waves = None if taken.waves is None else tuple(taken.waves[place] for place in places)
    chosen = [indices[place] for place in places]
    return chosen, replace(taken, inputs=inputs, texts=said, waves=waves)


def _opened(spec: str, subject: Subject, options: DataOptions, seed: int) -> Source:
    """As the labels' map has it; where a normalisation lacks, the usual ones are tried first."""

    def opened(preprocessing: Preprocessing | None) -> Source:
        asked = replace(subject, preprocessing=preprocessing)
        return _as_told(_open(spec, asked, options), options.label_map, spec)

    try:
        return opened(subject.preprocessing)
    except UnknownNormalisation as error:
        raise InputError(f"{error}: {tried(subject, opened, seed)}") from error


def _open(spec: str, subject: Subject, options: DataOptions) -> Source:
    prefix, _, name = spec.partition(":")
    path = Path(spec)
    if options.labels is not None and not path.is_dir():
        raise InputError(f"--labels {options.labels}: goes with a folder of images, not {spec}")
    if spec in BUILT_IN:
        return BUILT_IN[spec](spec, subject, options)
    if prefix in PREFIXES and name:
        return PREFIXES[prefix](name, subject, options)
    if path.is_dir():
        return open_folder(spec, subject, options)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        if not path.is_file():
            raise InputError(f"{spec}: no such file; give an existing {suffix} file")
        return SUFFIXES[suffix](spec, subject, options)
    if path.exists():
        raise InputError(f"DATA {spec}: a file of a kind not known; give {_ACCEPTED}")
    hint = nearest(spec, _NAMES)
    raise InputError(f"DATA {spec}: no such folder or name{hint}; give {_ACCEPTED}")


def _as_told(source: Source, told: Mapping[str, int] | None, spec: str) -> Source:
    """With class numbers of the data's own turned into outputs, if that was not done by name."""
    if not told or source.labelling == AS_TOLD:
        return source
    if source.labels is None or source.class_names is not None:
        what = "has no labels" if source.labels is None else "knows which output each label is"
        raise InputError(f"--label-map has no effect: {spec} {what}; leave it out")
    own = [str(label) for label in source.labels]
    mapped = map_labels(list(dict.fromkeys(own)), None, lambda: 0, spec, told)
    labels = np.array([mapped.index[label] for label in own], dtype=np.int64)
    return replace(source, labels=labels, class_names=mapped.class_names, labelling=mapped.how)


def _checked_labels(
    source: Source, outputs: int, spec: str, model: str
) -> Int64[np.ndarray, " n"] | None:
    labels = source.labels
    if labels is None:
        return None
    if source.class_names is not None and len(source.class_names) != outputs:
        raise InputError(
            f"{spec}: has {len(source.class_names)} classes, but {model} has {outputs} outputs; "
            "give data of the model's own task"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= outputs))
    if len(outside):
        first = outside[0]
        distinct = np.unique(labels).tolist()
        pairs = in_pairs({str(label): number for number, label in enumerate(distinct)})
        hint = f"; or say which output each is: --label-map {pairs}"
        told = AS_TOLD in source.labelling
        raise InputError(
            f"{spec}: label {labels[first]} of {source.ids[first]}"
            + (" (by --label-map)" if told else "")
            + f" is out of range: {model} has "
            f"{outputs} outputs, so labels go from 0 to {outputs - 1}"
            + (hint if len(distinct) <= outputs and not told else "")
        )
    return labels
