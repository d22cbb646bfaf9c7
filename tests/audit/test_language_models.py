"""A language model's audit against the model run by hand, each text by itself."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional as F  # noqa: N812

from bitcliff import Audit
from bitcliff.adapters import ModelOptions, load_examples, load_model
from bitcliff.audit import AssessSettings
from bitcliff.audit.float_texts import FloatTexts
from bitcliff.audit.prepare import Prepared
from bitcliff.audit.schedule import Schedule
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.points.forward import output_of, unpadded
from bitcliff.record.store import read_record, write_record
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Examples, Subject
from tests.language_models import TOKENS, prose, save_language_model

N = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    save_language_model(folder)
    (folder / "texts.txt").write_text("\n".join(prose(N)))
    return folder


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[Subject, Examples]:
    subject = load_model(f"hf:{folder}")
    return subject, load_examples(str(folder / "texts.txt"), subject=subject)


def by_hand(folder: Path, linear: Any = F.linear) -> list[int]:
    """The token that follows each text, which is given alone."""
    return [int(tokens[-1]) for tokens in all_by_hand(folder, linear)]


def model_by_hand(folder: Path, linear: Any) -> tuple[Any, list[torch.Tensor]]:
    """The network with its linear layers computed so, and the texts (1, tokens) as it is given
    them: those of one length are run side by side."""
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            setattr(module, "forward", partial(_forward, linear, module))  # noqa: B010
    texts = (folder / "texts.txt").read_text().split("\n")
    tokens = (torch.tensor([tokenizer(text)["input_ids"]]) for text in texts)
    return model, sorted(tokens, key=lambda ids: ids.shape[1])


def all_by_hand(folder: Path, linear: Any = F.linear) -> list[torch.Tensor]:
    """The token that follows at each position."""
    model, texts = model_by_hand(folder, linear)
    with torch.no_grad():
        return [model(input_ids=ids).logits[0].argmax(1) for ids in texts]


def _forward(linear: Any, module: torch.nn.Linear, x: torch.Tensor) -> Any:
    return linear(x, module.weight, module.bias)


def going_on(folder: Path, tokens: int, linear: Any = F.linear) -> list[list[int]]:
    """What it says after each text, token by token and by itself."""
    model, texts = model_by_hand(folder, linear)
    said = []
    for whole in texts:
        ids = whole[:, : TOKENS - tokens + 1]
        begun = ids.shape[1]
        with torch.no_grad():
            for _ in range(tokens):
                ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(2)], 1)
        said.append(ids[0, begun:].tolist())
    return said


def int8_by_token(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> Any:
    """Weights by output channel and activations by token, symmetric, of their largest size."""

    def rounded(values: torch.Tensor) -> torch.Tensor:
        scale = values.abs().amax(-1, keepdim=True) / 127
        return (values / scale).round().clamp(-128, 127) * scale

    return F.linear(rounded(x), rounded(weight), bias)


def test_it_is_what_the_model_does_by_hand(folder: Path, loaded: tuple[Subject, Examples]) -> None:
    settings = AssessSettings(numerics=("vllm-int8-token",), budgets=())
    record = Audit(*loaded, settings=settings).assess()
    assert record.subject.task == "next-token"
    assert not record.subject.uncovered
    assert record.table.prediction.tolist() == by_hand(folder)
    ours = record.outcomes["vllm-int8-token"].prediction.tolist()
    theirs = by_hand(folder, int8_by_token)
    assert ours == theirs
    assert len(set(theirs)) > N // 3


def logarithms(folder: Path, linear: Any = F.linear) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each text the tokens that follow another, and log-probabilities where they stand."""
    model, texts = model_by_hand(folder, linear)
    found = []
    for ids in texts:
        with torch.no_grad():
            scores = model(input_ids=ids).logits[0, :-1].double()
        found.append((ids[0, 1:], scores.log_softmax(1)))
    return found


def test_perplexity_and_divergence_are_those_of_each_text_by_hand(
    folder: Path, loaded: tuple[Subject, Examples], tmp_path: Path
) -> None:
    settings = AssessSettings(
        numerics=("vllm-int8-token", "mxfp4-rceil"), budgets=(4.0,), bits=(3, 4, 5), uniform=(3,),
        draws=2, rounds=1, exchanges=0, evaluations=0,
    )  # fmt: skip
    record = Audit(*loaded, settings=settings).assess()
    in_float, ours = logarithms(folder), logarithms(folder, int8_by_token)
    nll = [float(F.nll_loss(own, ids, reduction="sum")) for ids, own in ours]
    kl = [
        float(F.kl_div(own, was, reduction="sum", log_target=True))
        for (_, own), (_, was) in zip(ours, in_float, strict=True)
    ]
    found = record.outcomes["vllm-int8-token"]
    assert found.nll is not None
    assert found.kl is not None
    np.testing.assert_allclose(found.nll, nll, rtol=1e-5)
    # By hand each text is alone: other kernels, and with them a value near a tie here and there.
    np.testing.assert_allclose(found.kl, kl, rtol=1e-2)
    tokens = sum(len(ids) for ids, _ in ours)
    before = sum(float(F.nll_loss(was, ids, reduction="sum")) for ids, was in in_float)
    by_name = {one.name: one.likelihood for one in record.policies}
    figure, own = by_name["vllm-int8-token"], record.float_.likelihood
    assert own is not None
    assert figure is not None
    assert figure.kl is not None
    assert figure.ratio is not None
    assert own.perplexity.value == pytest.approx(np.exp(before / tokens), rel=1e-5)
    assert figure.perplexity.value == pytest.approx(np.exp(sum(nll) / tokens), rel=1e-5)
    assert figure.ratio.value == pytest.approx(np.exp((sum(nll) - before) / tokens), rel=1e-4)
    assert figure.kl.value == pytest.approx(sum(kl) / tokens, rel=5e-3)
    assert (figure.kl.n, figure.kl.tokens) == (N, tokens)
    # Every condition has it, searched and drawn ones too; coarser is further away.
    coarse = by_name["mxfp4-rceil"]
    assert coarse is not None
    assert coarse.kl is not None
    assert (coarse.kl.value or 0) > (figure.kl.value or 0)
    assert all(by_name.values())
    file = tmp_path / "record.json"
    write_record(record, file)
    assert read_record(file).float_.likelihood == own
    damaged = json.loads(file.read_text())
    damaged["figures"]["float"]["likelihood"]["perplexity"]["value"] += 1
    file.write_text(json.dumps(damaged))
    with pytest.raises(InputError, match="perplexity"):
        read_record(file)


def test_perplexity_costs_no_pass_of_its_own(loaded: tuple[Subject, Examples]) -> None:
    """One pass of each condition, and one in float for all of them, to the bits of float itself."""
    settings = AssessSettings(numerics=("vllm-int8-token", "mxfp4-rceil"), budgets=())
    schedule = Schedule(Audit(*loaded, settings=settings).prepared)
    prepared, passed = schedule.prepared, list[int]()
    batches = list(prepared.evaluator.batches_of(prepared.everyone))
    with prepared.subject.module.register_forward_hook(lambda *_: passed.append(1)):
        schedule.run()
        assert len(passed) == 3 * len(batches)
        passed.clear()
        for _, padded in batches:
            texts = unpadded(take(prepared.evaluator.inputs, padded))
            assert torch.equal(prepared.float_texts(texts), output_of(loaded[0].module, texts))
        assert len(passed) == len(batches)
    assert all(one.outcomes.kl is not None for one in schedule.done.values())


def test_float_runs_whole_where_no_last_layer_gives_its_output() -> None:
    torch.manual_seed(0)
    body = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 9), torch.nn.Tanh())
    ids, kept = torch.randint(9, (2, 5)), FloatTexts(body)
    for _ in range(2):
        assert torch.equal(kept(ids), body(ids))
    assert torch.equal(FloatTexts(body[0])(ids), body[0](ids))


def test_an_outcome_does_not_depend_on_who_else_is_there(
    loaded: tuple[Subject, Examples],
) -> None:
    """Coarse rounding by an example's range, which padding or longer companions would enter."""
    subject, examples = loaded
    settings = AssessSettings(batch_size=5)
    everyone: Prepared = Audit(subject, examples, settings=settings).prepared
    points = len(everyone.points)
    bits = torch.randint(3, 7, (N, points), generator=torch.Generator().manual_seed(0))
    together = everyone.evaluator.scores(torch.arange(N), bits)
    lengths = examples.inputs.lengths  # type: ignore[union-attr]
    assert len(set(lengths.tolist())) > 3
    for place in range(N):
        alone = everyone.evaluator.scores(torch.tensor([place]), bits[[place]])
        assert torch.equal(alone.logits[0], together.logits[place]), place
    shuffled = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    again = everyone.evaluator.scores(shuffled, bits[shuffled])
    assert torch.equal(again.logits, together.logits[shuffled])


def cached(divisor: float, bits: int) -> Format:
    numerics = Numerics(element=f"int{bits}", group="token", scale="amax", divisor=divisor)
    return Format(cache=numerics)


def test_what_a_cache_holds_is_rounded_alone_or_mixed(loaded: tuple[Subject, Examples]) -> None:
    own = {"kv3": cached(3, 3), "kv8": cached(127, 8)}
    settings = AssessSettings(
        numerics=("kv-cache-fp8", "kv3"), options=("kv3", "kv8"), formats=own, budgets=(5.5,),
        draws=2, rounds=1, exchanges=0,
    )  # fmt: skip
    record = Audit(*loaded, settings=settings).assess()
    assert not record.subject.uncovered
    # Keys and values of two layers: nothing else may be rounded, so that no plan has more points.
    chosen = [one for one in record.subject.points if one.quantized]
    assert [one.name.rpartition(":")[2] for one in chosen] == ["key", "value"] * 2
    by_name = {one.name: one for one in record.policies}
    assert by_name["kv-cache-fp8"].condition.points_rounded == 4
    assert by_name["kv3"].flips.all.k > by_name["kv-cache-fp8"].flips.all.k
    assert sorted(by_name["worst-mix-5.5"].plan or []) == ["kv3", "kv3", "kv8", "kv8"]


def test_a_search_beats_chance(folder: Path, loaded: tuple[Subject, Examples]) -> None:
    subject = loaded[0]
    few = load_examples(str(folder / "texts.txt"), subject=subject, limit=6)
    settings = AssessSettings(
        bits=(3, 4, 5, 6, 7, 8), budgets=(5.0,), uniform=(), draws=2, rounds=4, exchanges=0,
        evaluations=0,
    )  # fmt: skip
    record = Audit(subject, few, settings=settings).assess()
    changed = {
        one.name: int((one.outcomes.prediction != record.table.before(one.outcomes)).sum())
        for one in record.observed.conditions
    }
    assert changed["worst-5"] > changed["random-5"] >= changed["best-5"]


def test_every_position_of_a_text_may_be_asked_for(folder: Path) -> None:
    """Against the tokens at all positions, of each text alone, by hand."""
    subject = load_model(f"hf:{folder}", options=ModelOptions(task="positions:0.05"))
    examples = load_examples(str(folder / "texts.txt"), subject=subject)
    settings = AssessSettings(numerics=("mxfp4-rceil", "vllm-int8-token"), budgets=())
    record = Audit(subject, examples, settings=settings).assess()
    assert (record.table.prediction == 0).all()
    float_tokens, ours = all_by_hand(folder), all_by_hand(folder, int8_by_token)
    differ = [float((a != b).float().mean()) for a, b in zip(float_tokens, ours, strict=True)]
    expected = [int(share > 0.05) for share in differ]
    found = record.outcomes["vllm-int8-token"]
    assert found.prediction.tolist() == expected
    assert found.score is not None
    np.testing.assert_allclose(1 - found.score, differ, atol=1e-6)
    (figure,) = (one.score for one in record.policies if one.name == "vllm-int8-token")
    assert figure is not None
    assert figure.value == pytest.approx(1 - np.mean(differ))
    assert record.outcomes["mxfp4-rceil"].prediction.sum() > sum(expected)


def test_what_it_goes_on_with_is_the_same_when_it_goes_on_by_itself(
    folder: Path, tmp_path: Path
) -> None:
    """Against float and quantized each going on freely, up to the first token that differs."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path)
    torch.manual_seed(0)
    for weights in model.parameters():
        if weights.ndim > 1:  # so small a model repeats itself unless it knows nothing
            torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(tmp_path)
    tokens = 8
    subject = load_model(f"hf:{tmp_path}", options=ModelOptions(task=f"continuation:{tokens}"))
    examples = load_examples(str(tmp_path / "texts.txt"), subject=subject)
    settings = AssessSettings(numerics=("vllm-int8-token",), budgets=())
    record = Audit(subject, examples, settings=settings).assess()
    assert (record.table.prediction == 0).all()
    in_float, ours = going_on(tmp_path, tokens), going_on(tmp_path, tokens, int8_by_token)
    alike = [
        next((k for k in range(tokens) if a[k] != b[k]), tokens)
        for a, b in zip(in_float, ours, strict=True)
    ]
    assert len(set(alike)) > 3
    found = record.outcomes["vllm-int8-token"]
    assert found.prediction.tolist() == [int(k < tokens) for k in alike]
    assert found.score is not None
    np.testing.assert_allclose(found.score, np.array(alike) / tokens, atol=1e-6)
    assert examples.texts is not None
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    shown = [text.split(" ⟶ ")[1] for text in examples.texts]
    assert shown == ["".join(str(tokenizer.decode(one)) for one in said[:-1]) for said in in_float]


def test_a_text_leaves_room_for_what_follows(folder: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("\n".join([prose(1)[0] * 40, *prose(2)]))
    asked = ModelOptions(task="continuation:8")
    examples = load_examples(str(long), subject=load_model(f"hf:{folder}", options=asked))
    assert "1 of 3 texts cut to 41" in examples.preprocessing
    subject = load_model(f"hf:{folder}", options=ModelOptions(task="continuation:49"))
    with pytest.raises(InputError, match="takes 48 tokens, which leaves no room for a text"):
        load_examples(str(long), subject=subject)


def likelihoods(folder: Path, question: str, choices: list[str], linear: Any) -> list[float]:
    """Of each choice after the question, by itself."""
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            setattr(module, "forward", partial(_forward, linear, module))  # noqa: B010
    begun, found = len(tokenizer(question)["input_ids"]), []
    for choice in choices:
        ids = torch.tensor([tokenizer(f"{question} {choice}")["input_ids"]])
        with torch.no_grad():
            logarithms = model(input_ids=ids).logits[0].log_softmax(1)
        found.append(sum(float(logarithms[t - 1, ids[0, t]]) for t in range(begun, ids.shape[1])))
    return found


def asked() -> list[dict[str, Any]]:
    """How a sentence goes on, and three other sentences' ends, all of different lengths."""
    rows, texts = [], [text.split() for text in prose(24) if len(text.split()) > 8]
    for place, words in enumerate(texts):
        others = [texts[(place + step) % len(texts)][-2 - step :] for step in (1, 2)]
        choices = [" ".join(one) for one in (*others, words[5:8])]
        rows.append({"question": " ".join(words[:5]), "choices": choices, "answer": place % 3})
    return rows


def test_choices_by_their_likelihood(folder: Path, tmp_path: Path) -> None:
    rows = asked()
    file = tmp_path / "asked.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    subject = load_model(f"hf:{folder}")
    examples = load_examples(str(file), subject=subject)
    settings = AssessSettings(
        numerics=("vllm-int8-token",), budgets=(4.0,), bits=(3, 4, 5), uniform=(3,), draws=1,
        rounds=1, exchanges=0, evaluations=0,
    )  # fmt: skip
    record = Audit(subject, examples, settings=settings).assess()
    assert record.subject.task == "choice"
    assert not record.subject.uncovered
    order = [int(one.removeprefix("line ")) - 1 for one in record.table.ids]
    for found, linear in (
        (record.table.prediction, F.linear),
        (record.outcomes["vllm-int8-token"].prediction, int8_by_token),
    ):
        expected = [
            likelihoods(folder, rows[k]["question"], rows[k]["choices"], linear) for k in order
        ]
        assert found.tolist() == [int(np.argmax(one)) for one in expected]
        assert len(set(found.tolist())) > 1
    assert record.table.labels is not None
    assert record.table.labels.tolist() == [rows[k]["answer"] for k in order]
    right = record.table.prediction == record.table.labels
    assert right.any()
    # One round of search; of a single example it may find nothing.
    change = record.outcomes["worst-4"].margin[right] - record.table.margin[right]
    assert change.mean() < 0


@pytest.mark.parametrize("kind", ["choices", "texts"])
def test_what_is_right_may_be_the_same_of_all(folder: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "asked.jsonl"
    rows = [row | {"answer": 0} for row in asked()[:3]]
    if kind == "texts":
        rows = [{"text": row["question"], "label": " and"} for row in rows]
    file.write_text("\n".join(map(json.dumps, rows)))
    labels = load_examples(str(file), subject=load_model(f"hf:{folder}")).labels
    assert labels is not None
    assert len(labels) == 3
    assert len(set(labels.tolist())) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"choices": ["one"]}, "line 2: must be an object with a question and two choices"),
        ({"question": " "}, "line 2: an empty question"),
        ({"answer": 3}, "line 2: the answer 3 is none of the 3 choices"),
        ({"answer": "nothing"}, "line 2: the answer nothing is none of"),
        ({"choices": ["a", "b"]}, "every question must have as many choices, not 2 to 3"),
        ({"question": "long " * 60}, "tokens with a choice, and the model takes 48"),
    ],
)
def test_what_is_no_question_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    rows = asked()[:3]
    rows[1] |= change
    file = tmp_path / "asked.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=says) as error:
        load_examples(str(file), subject=load_model(f"hf:{folder}"))
    assert "\n" not in str(error.value)
