"""Questions with several choices, as JSON lines have them, for a language model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from bitcliff.adapters.source import Progress, Source, Taken
from bitcliff.adapters.wording import shortened
from bitcliff.errors import InputError
from bitcliff.tasks import NextToken, judge_as, task_of
from bitcliff.tasks.multiple_choice import MultipleChoice
from bitcliff.types.subject import MASK, Choices, Subject, Tokenizer

Row = Mapping[str, Any]


def choice_source(rows: Mapping[str, Row], subject: Subject, where: str) -> Source:
    """Of rows by their names: `question`, `choices`, and `answer` in all of them or in none.

    An answer is the number of a choice, from 0, or its text. A question that is too long with a
    choice loses its beginning.

    Raises:
        InputError: not such; the model takes no text, or gives no token that follows.
    """
    tokenizer = subject.tokenizer
    if tokenizer is None or not isinstance(task_of(subject.module), NextToken | MultipleChoice):
        raise InputError(f"{where}: questions with choices, but {subject.name} writes no text")
    judge_as(subject.module, MultipleChoice())
    for one, row in rows.items():
        _check(row, f"{where}, {one}")
    several = {len(row["choices"]) for row in rows.values()}
    if len(several) > 1:
        raise InputError(
            f"{where}: every question must have as many choices, not {min(several)} to "
            f"{max(several)}"
        )
    every = list(rows.values())
    labels = _answers(rows, where)
    written = [_written(row, f"{where}, {one}", tokenizer) for one, row in rows.items()]

    def take(chosen: Sequence[int], progress: Progress | None) -> Taken:
        if progress is not None:
            progress(len(chosen), len(chosen))
        inputs = _padded([written[index] for index in chosen])
        done = f"tokenized, at most {int(inputs.lengths.max())} tokens with a choice"
        return Taken(inputs, done, texts=tuple(_shown(every[index]) for index in chosen))

    return Source(tuple(rows), labels, take)


def _check(row: Row, where: str) -> None:
    question, choices = row.get("question"), row.get("choices")
    fine = isinstance(question, str) and isinstance(choices, list) and len(choices) > 1
    if not fine or not all(isinstance(one, str) and one.strip() for one in choices or []):
        raise InputError(
            f"{where}: must be an object with a question and two choices or more, such as "
            '{"question": "...", "choices": ["...", "..."], "answer": 0}'
        )
    if not str(question).strip():
        raise InputError(f"{where}: an empty question; leave it out")


def _answers(rows: Mapping[str, Row], where: str) -> Int64[np.ndarray, " n"] | None:
    answered = sum("answer" in row for row in rows.values())
    if not answered:
        return None
    if answered < len(rows):
        raise InputError(
            f"{where}: {answered} of {len(rows)} lines have an answer; give all or none"
        )
    return np.array([_answer(row, f"{where}, {one}") for one, row in rows.items()], dtype=np.int64)


def _answer(row: Row, where: str) -> int:
    answer, choices = row["answer"], row["choices"]
    if isinstance(answer, str) and choices.count(answer) == 1:
        return int(choices.index(answer))
    if type(answer) is int and 0 <= answer < len(choices):
        return answer
    raise InputError(
        f"{where}: the answer {shortened(str(answer))} is none of the {len(choices)} choices, nor "
        "the number of one, from 0"
    )


def _written(row: Row, where: str, tokenizer: Tokenizer) -> list[tuple[list[int], int]]:
    """The question with each choice: tokens, and how many of them come before the choice's."""
    question, found = row["question"], []
    gaps = ["" if question[-1].isspace() or one[0].isspace() else " " for one in row["choices"]]
    whole = [question + gap + one for gap, one in zip(gaps, row["choices"], strict=True)]
    tokens = tokenizer([question, *whole])
    if max(tokens.lengths) > tokens.longest:
        raise InputError(
            f"{where}: {max(tokens.lengths)} tokens with a choice, and the model takes "
            f"{tokens.longest}: shorten the question"
        )
    begun, *each = tokens.numbers
    for one in each:
        # The last of the question may be another token with what follows.
        pairs = zip(begun, one, strict=False)
        same = next((k for k, (a, b) in enumerate(pairs) if a != b), len(begun))
        if same < 1 or same >= len(one):
            raise InputError(f"{where}: a choice adds no token to the question")
        found.append((one, same))
    return found


def _padded(rows: list[list[tuple[list[int], int]]]) -> Choices:
    """(questions, tokens, choices), each as long as the longest of its question."""
    longest = max(len(tokens) for row in rows for tokens, _ in row)
    shape = len(rows), longest, len(rows[0])
    ids, mask, counts = (torch.zeros(shape, dtype=torch.int64) for _ in range(3))
    for place, row in enumerate(rows):
        mask[place, : max(len(tokens) for tokens, _ in row)] = 1
        for number, (tokens, begun) in enumerate(row):
            ids[place, :, number] = tokens[-1]
            ids[place, : len(tokens), number] = torch.tensor(tokens)
            counts[place, begun : len(tokens), number] = 1
    return Choices({"input_ids": ids, MASK: mask, Choices.COUNTS: counts})


def _shown(row: Row) -> str:
    return f"{row['question']} ⟶ {' | '.join(map(str.strip, row['choices']))}"
