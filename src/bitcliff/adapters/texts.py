"""Texts as a model's own tokenizer takes them: a line each, or from JSON lines with labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bitcliff.adapters.choices import choice_source
from bitcliff.adapters.labels import map_labels
from bitcliff.adapters.outputs import class_count, output_count
from bitcliff.adapters.source import Progress, Source, Taken
from bitcliff.adapters.targets import about_pairs, pair_targets, refuse_pairs
from bitcliff.adapters.wording import one_line, shortened
from bitcliff.errors import InputError
from bitcliff.points.continuation import continued, tokens_to_follow
from bitcliff.tasks import NextToken, task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.continuation import decoded
from bitcliff.tasks.span import Span
from bitcliff.types.options import DataOptions
from bitcliff.types.subject import DECODED, Inputs, Subject, Texts, Tokens, in_parts

# Characters of a text that a report shows.
_SHOWN = 200


def open_lines(spec: str, subject: Subject, options: DataOptions) -> Source:
    """A text a line, without labels; empty lines are left out.

    Raises:
        InputError: not text in UTF-8; texts for a model that takes none; as `text_source`.
    """
    del options
    numbered = [(n, line) for n, line in enumerate(_lines(spec), 1) if line.strip()]
    ids = tuple(f"line {number}" for number, _ in numbered)
    return text_source([line for _, line in numbered], ids, subject, spec)


def open_jsonl(spec: str, subject: Subject, options: DataOptions) -> Source:
    """An object a line: `text`, and `label` in all of them or in none; or see `choice_source`.

    A label is a class; for a language model it is what should follow the text, of which the first
    token counts.

    Raises:
        InputError: not such; labels that match no output; as `text_source`.
    """
    rows = {
        f"line {number}": _object(line, f"{spec}, line {number}")
        for number, line in enumerate(_lines(spec), 1)
        if line.strip()
    }
    if any("choices" in row for row in rows.values()):
        return choice_source(rows, subject, spec)
    for one, row in rows.items():
        if not isinstance(row.get("text"), str):
            raise InputError(
                f'{spec}, {one}: must be an object with a text, such as {{"text": "..."}}'
            )
    texts = [row["text"] for row in rows.values()]
    source = text_source(texts, tuple(rows), subject, spec, _questions(rows, subject, spec))
    task = task_of(subject.module)
    if any("with" in row for row in rows.values()):
        refuse_pairs(task, spec)
    named = [str(row["label"]) for row in rows.values() if "label" in row]
    if not named:
        return source
    if len(named) != len(rows):
        raise InputError(
            f"{spec}: {len(named)} of {len(rows)} lines have a label; give all or none"
        )
    if about_pairs(task):
        return _paired(source, rows, named, subject, spec)
    if isinstance(task, NextToken):
        return _continued(source, texts, named, subject, spec)
    names = list(dict.fromkeys(named))
    mapped = map_labels(
        names,
        subject.class_names,
        class_count(
            subject,
            names,
            lambda: output_count(subject, next(in_parts(source.take([0], None).inputs))),
        ),
        f"{spec} (label)",
        options.label_map,
    )
    labels = np.array([mapped.index[name] for name in named], dtype=np.int64)
    return replace(source, labels=labels, class_names=mapped.class_names, labelling=mapped.how)


def _questions(rows: Mapping[str, Any], subject: Subject, spec: str) -> list[str] | None:
    """What is asked about each text, of a network that reads its answers there; else None."""
    if not _reads_answers(subject):
        return None
    for one, row in rows.items():
        if not isinstance(row.get("question"), str) or not row["question"].strip():
            raise InputError(
                f'{spec}, {one}: must be an object with a question, such as {{"question": "...", '
                '"text": "..."}'
            )
        if "label" in row:
            raise InputError(
                f"{spec}, {one}: has a label; answers are compared with float's own, leave it out"
            )
    return [row["question"] for row in rows.values()]


def _reads_answers(subject: Subject) -> bool:
    task = task_of(subject.module)
    return isinstance(task, AgainstFloat) and isinstance(task.kind, Span)


def _paired(
    source: Source, rows: Mapping[str, Any], labels: list[str], subject: Subject, spec: str
) -> Source:
    """With what float gives for the other text of each."""
    where = [f"{spec}, {one}" for one in rows]
    others = [row.get("with") for row in rows.values()]
    for place, other in zip(where, others, strict=True):
        if not isinstance(other, str):
            raise InputError(f'{place}: has no text "with" that it is paired with')
    partners = text_source(others, source.ids, subject, f"{spec} (with)")
    return replace(source, targets=pair_targets(partners, labels, subject, where))


def _continued(
    source: Source, texts: list[str], following: list[str], subject: Subject, where: str
) -> Source:
    """With the first token of what should follow each text as its label."""
    assert subject.tokenizer is not None  # noqa: S101  (`text_source` has seen to it)
    both = (texts, [text + more for text, more in zip(texts, following, strict=True)])
    begun_and_whole = (subject.tokenizer(list(words)).numbers for words in both)
    labels = []
    for one, more, begun, whole in zip(source.ids, following, *begun_and_whole, strict=True):
        if whole[: len(begun)] != begun or len(whole) == len(begun):
            raise InputError(
                f"{where}, {one}: the label {shortened(more)!r} does not begin a token after the "
                "text; begin it with a space, or end the text where it begins"
            )
        labels.append(whole[len(begun)])
    told = "the first token of what should follow each text"
    return replace(source, labels=np.array(labels, dtype=np.int64), labelling=told)


def text_source(
    texts: Sequence[str],
    ids: tuple[str, ...],
    subject: Subject,
    where: str,
    questions: Sequence[str] | None = None,
) -> Source:
    """Texts for a model that has a tokenizer, or questions each with its text.

    Raises:
        InputError: the model takes no text; there is none, or one is empty.
    """
    if subject.tokenizer is None:
        raise InputError(f"{where}: text, but {subject.name} does not take text")
    for one, text in zip(ids, texts, strict=True):
        if not text.strip():
            raise InputError(f"{where}, {one}: an empty text; leave it out")
    if not texts:
        raise InputError(f"{where}: holds no examples")
    if questions is None and _reads_answers(subject):
        raise InputError(
            f"{where}: texts without questions, but {subject.name} answers some; give JSON lines "
            'with {"question": "...", "text": "..."}'
        )
    if questions is None:
        tokens = subject.tokenizer(list(texts))
    else:
        tokens = subject.tokenizer(list(zip(questions, texts, strict=True)))
        texts = [f"{text} ⟵ {asked}" for asked, text in zip(questions, texts, strict=True)]

    def take(chosen: Sequence[int], progress: Progress | None) -> Taken:
        if progress is not None:
            progress(len(chosen), len(chosen))
        return _taken(tokens, texts, chosen, subject)

    return Source(ids, None, take)


def _taken(tokens: Tokens, texts: Sequence[str], chosen: Sequence[int], subject: Subject) -> Taken:
    rows, follow = torch.tensor(list(chosen)), tokens_to_follow(subject.module)
    # Of one that translates, the tokens follow elsewhere.
    longest = tokens.longest - (0 if DECODED in tokens.inputs else follow)
    if longest < 1:
        raise InputError(
            f"{subject.name} takes {tokens.longest} tokens, which leaves no room for a text before "
            f"the {follow + 1} that --task {task_of(subject.module).name} has follow it"
        )
    inputs = Texts({name: x[rows] for name, x in tokens.inputs.items()}).cut(longest).unpadded()
    cut = sum(tokens.lengths[index] > longest for index in chosen)
    done = f"tokenized, at most {int(inputs.lengths.max())} tokens"
    if cut:
        done += f"; {cut} of {len(chosen)} texts cut to {longest}"
    said, whole = [_ending(texts[index]) for index in chosen], continued(subject.module, inputs)
    if follow:
        done += f", followed by {follow} of float's own"
        more = _endings(whole, follow, subject)
        said = [" ⟶ ".join(both) for both in zip(said, more, strict=True)]
    return Taken(whole, done, texts=tuple(said))


def _endings(inputs: Inputs, count: int, subject: Subject) -> list[str]:
    """What the last tokens of each text say, together."""
    assert isinstance(inputs, Texts)  # noqa: S101  (as it was)
    names = subject.class_names or ()
    ids = decoded(inputs)
    assert ids is not None  # noqa: S101  (as it has tokens)
    ends = [ids.shape[1]] * len(ids) if DECODED in inputs else inputs.lengths.tolist()
    every = zip(ids.tolist(), ends, strict=True)
    return ["".join(names[one] for one in row[end - count : end]) for row, end in every]


def _ending(text: str) -> str:
    return text if len(text) <= _SHOWN else f"… {text[-_SHOWN:]}"


def _lines(spec: str) -> list[str]:
    try:
        return Path(spec).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{spec}: not readable as text in UTF-8 ({one_line(error)})") from error


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not readable as JSON ({one_line(error)})") from error
    if not isinstance(found, dict):
        raise InputError(f'{where}: must be an object with a text, such as {{"text": "..."}}')
    return found
