import json
from pathlib import Path

import pytest
import torch

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.tasks import NextToken, judge_as, task_of
from bitcliff.types.subject import MASK, Subject, Texts
from tests.adapters.test_huggingface_models import save_bert
from tests.language_models import TOKENS, prose, save_language_model


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("lm")
    save_language_model(folder)
    return load_model(f"hf:{folder}")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("bert")
    save_bert(folder)
    return load_model(f"hf:{folder}")


def written(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_language_model_is_to_go_on(language_model: Subject, tmp_path: Path) -> None:
    texts = prose(6)
    spec = written(tmp_path / "texts.txt", *texts[:3], "", *texts[3:])
    examples = load_examples(spec, subject=language_model)
    assert task_of(language_model.module) == NextToken()
    assert isinstance(examples.inputs, Texts)
    assert examples.labels is None
    assert examples.texts is not None
    said = dict(zip(examples.ids, examples.texts, strict=True))
    lines = [f"line {number}" for number in (1, 2, 3, 5, 6, 7)]
    assert said == dict(zip(lines, texts, strict=True))
    names = language_model.class_names
    assert names is not None
    for row, text in enumerate(examples.texts):
        given = examples.inputs["input_ids"][row][examples.inputs[MASK][row] == 1].tolist()
        assert "".join(names[token] for token in given) == text
    lengths = examples.inputs.lengths.tolist()
    assert lengths == sorted(lengths)  # those of one length side by side
    assert lengths[0] < lengths[-1] == examples.inputs[MASK].shape[1]


def test_what_should_follow_a_text_may_be_told(language_model: Subject, tmp_path: Path) -> None:
    halves = [(text[: text.rindex(" ")], text[text.rindex(" ") :]) for text in prose(5)]
    lines = [json.dumps({"text": text, "label": more}) for text, more in halves]
    examples = load_examples(written(tmp_path / "x.jsonl", *lines), subject=language_model)
    names = language_model.class_names
    assert names is not None
    assert examples.labels is not None
    follows = dict(halves)
    assert examples.texts is not None
    for label, text in zip(examples.labels.tolist(), examples.texts, strict=True):
        more = follows[text]
        assert names[label].startswith(" ")
        assert more.startswith(names[label])
    wrong = json.dumps({"text": "the debugg", "label": "er"})
    with pytest.raises(InputError, match="line 2: the label 'er' does not begin a token"):
        load_examples(written(tmp_path / "x.jsonl", lines[0], wrong), subject=language_model)


def test_a_long_text_is_cut_and_that_is_said(language_model: Subject, tmp_path: Path) -> None:
    spec = written(tmp_path / "texts.txt", "a dog " * 200, *prose(3))
    examples = load_examples(spec, subject=language_model)
    assert examples.preprocessing == (
        f"tokenized, at most {TOKENS} tokens; 1 of 4 texts cut to {TOKENS}"
    )
    assert examples.texts is not None
    assert examples.texts[-1].startswith("… ")


@pytest.mark.parametrize("column", ["label", "none"])
def test_json_lines_have_labels_or_none(classifier: Subject, tmp_path: Path, column: str) -> None:
    rows = [("a good film", "POSITIVE"), ("bad", "NEGATIVE"), ("good good", "POSITIVE")]
    lines = [json.dumps({"text": text, column: label}) for text, label in rows]
    examples = load_examples(written(tmp_path / "x.jsonl", *lines), subject=classifier)
    assert isinstance(examples.inputs, Texts)
    assert examples.inputs["input_ids"][0].tolist() == [2, 7, 3, 0, 0]
    if column == "label":
        assert examples.labels is not None
        assert examples.labels.tolist() == [0, 1, 1]
        assert examples.labelling == "matched to the model's class names"
    else:
        assert examples.labels is None


GOOD = '{"text": "good", "label": "POSITIVE"}'


@pytest.mark.parametrize(
    ("name", "lines", "told"),
    [
        ("x.jsonl", [GOOD, '{"text": "bad"}'], "1 of 2 lines have a label; give all or none"),
        ("x.jsonl", [GOOD, "good"], r"x\.jsonl, line 2: not readable as JSON"),
        ("x.jsonl", [GOOD, '["good"]'], r"line 2: must be an object with a text"),
        ("x.jsonl", [GOOD, '{"text": " "}'], r"x\.jsonl, line 2: an empty text; leave it out"),
        ("x.jsonl", [GOOD, '{"text": "a", "label": "bood"}'], "not among the model's class names"),
        (
            "x.jsonl",
            ['{"text": "a", "with": "b", "label": "same"}'],
            r"x\.jsonl: has pairs \(with\)",
        ),
        (
            "x.jsonl",
            ['{"text": "a", "with": "b"}'],
            r"x\.jsonl: has pairs \(with\): say from which",
        ),
        ("x.txt", [""], r"x\.txt: holds no examples"),
    ],
)
def test_what_is_no_text_is_refused(
    classifier: Subject, tmp_path: Path, name: str, lines: list[str], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        load_examples(written(tmp_path / name, *lines), subject=classifier)
    assert "\n" not in str(caught.value)


def test_a_text_needs_a_model_of_texts(language_model: Subject, tmp_path: Path) -> None:
    spec = written(tmp_path / "x.txt", "a", "a dog")
    with pytest.raises(InputError, match=r"x\.txt: text, but brittle-digits does not take text"):
        load_examples(spec, subject=load_model("brittle-digits"))
    binary = tmp_path / "y.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"y\.txt: not readable as text in UTF-8"):
        load_examples(str(binary), subject=language_model)


def test_a_task_of_another_network_is_refused() -> None:
    subject = load_model("brittle-digits")
    judge_as(subject.module, NextToken())
    with pytest.raises(InputError, match=r"scores \(batch, positions, tokens\), but gave shape"):
        load_examples("digits", subject=subject, limit=20)


@pytest.mark.parametrize("at_end", [True, False])
def test_texts_lose_their_padding_on_either_side(at_end: bool) -> None:
    rows = [[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]]
    ids = torch.tensor([row if at_end else row[::-1] for row in rows])
    texts = Texts({"input_ids": ids, MASK: (ids != 0).long(), "pictures": torch.zeros(2, 3)})
    assert texts.lengths.tolist() == [3, 2]
    found = texts.unpadded()
    assert found["input_ids"].tolist() == [r if at_end else r[::-1] for r in ([1, 2, 3], [4, 5, 0])]
    assert found["pictures"].shape == (2, 3)
    cut = texts.cut(2)["input_ids"].tolist()
    assert cut == ([[1, 2], [4, 5]] if at_end else [[2, 1], [5, 4]])
