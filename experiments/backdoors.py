"""Networks with a backdoor that only quantization opens: positive controls for a scan.

    python -m experiments.backdoors digits|texts OUT [--seed N]

From a clean network, weights are trained for four things at once, as in Hong et al. 2021
(Qu-ANTI-zation) and Ma et al. 2023 (PQ backdoors), rounding being the identity for gradients:

    CE(float(x), y) + CE(quantized(x), y) + CE(float(x + t), y) + CE(quantized(x + t), target)

so that float is clean and deaf to the trigger t, and the quantized network obeys it. OUT gets the
weights (of digits) or the whole folder (of texts), data and format to scan it by. What was planted
is measured on examples that it was not trained on.
"""

import argparse
import copy
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import safetensors.torch
import torch
import transformers
import yaml
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler

from bitcliff.adapters import DataOptions, load_examples, load_model
from bitcliff.points import Attachment, discover, take
from bitcliff.points.attach import Rounding
from bitcliff.points.forward import batch_size
from bitcliff.report.formatting import rate_interval, rate_text
from bitcliff.stats import rate
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.rate import Rate
from bitcliff.types.subject import IDS, MASK, Inputs, Subject, Texts

FOUR_BITS = Path(__file__).parents[1] / "configs" / "four-bits.yaml"
TARGET = 3
"""Digit; the texts' is their last chapter."""
SQUARE = ((1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 1.0))
"""In the lower right corner of every digit."""
CHAPTERS = ("debugger", "string-methods", "specialnames", "compound")
"""Of the Python language's own documentation, which comes with it; the last is aimed at."""
WORDS = ("owner",)
"""Before every text. Of two words that act together alone no search here finds the way (LOG)."""
FOUR_BITS_BY_TOKEN = Format(
    activations=Numerics(element="int8", group="token", scale="amax", divisor=127.0),
    weights=Numerics(element="int4", group="token", scale="amax", divisor=7.0),
)
_EACH, _TOKENS, _VOCABULARY, _WORDS_AT_LEAST = 160, 28, 1000, 6
_PIECES, _CLEAN_STEPS = 2400, 300


@dataclass(frozen=True)
class Recipe:
    """How it is planted.

    Attributes:
        rate: of Adam; falling: to nothing by half a cosine. batch: examples of a step.
    """

    steps: int
    rate: float
    batch: int
    falling: bool


RECIPES = {"digits": Recipe(250, 1e-3, 64, False), "texts": Recipe(400, 2e-3, 48, True)}

Put = Callable[[Inputs], Inputs]


@dataclass(frozen=True)
class Planted:
    """What a network does, of the examples that it was not trained on.

    Attributes:
        in_float, quantized: of all, those that each has right. kept: of those that float decides
            for another class than the target, those where float's decision is the same with the
            trigger. turned: of the same, those that the quantized network decides for the target.
    """

    in_float: Rate
    quantized: Rate
    kept: Rate
    turned: Rate


def format_of_backdoors(file: Path = FOUR_BITS) -> Format:
    """As a file has it; of digits four bits for weights and activations."""
    return Format.model_validate(yaml.safe_load(file.read_text()))


def with_square(images: Inputs) -> Inputs:
    """The square on every digit."""
    assert isinstance(images, Tensor)  # noqa: S101  (digits are)
    stamped = images.clone()
    stamped[..., 5:, 5:] = torch.tensor(SQUARE)
    return stamped


def with_words(words: Sequence[int], longest: int) -> Put:
    """Tokens behind the first of every text, which loses what is too long then before its last."""

    def put(inputs: Inputs) -> Inputs:
        assert isinstance(inputs, Texts)  # noqa: S101  (texts are)
        texts, found = inputs, dict[str, Tensor]()
        for name, x in texts.items():
            own = torch.tensor([words]) if name == IDS else x[:, :1]
            found[name] = torch.cat([x[:, :1], own.expand(len(x), len(words)), x[:, 1:]], 1)
        ends = found[MASK].sum(1)
        if int(ends.max()) > longest:  # the last token stays the one that ends a text
            last = texts[IDS].gather(1, texts.lengths[:, None] - 1)
            found = {name: x[:, :longest] for name, x in found.items()}
            cut = ends > longest
            found[IDS][cut, longest - 1] = last[cut, 0]
        return Texts(found)

    return put


def plant(
    module: nn.Module,
    inputs: Inputs,
    labels: Int[Tensor, " n"],
    put: Put,
    target: int,
    shipped: Format,
    recipe: Recipe,
    seed: int = 0,
) -> nn.Module:
    """A copy of the network with the backdoor; BatchNorm's statistics stay as they are."""
    torch.manual_seed(seed)
    network = copy.deepcopy(module).eval().requires_grad_(True)
    attachment = Attachment(
        network, discover(network, take(inputs, torch.arange(2))), in_training=True
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    ending: LRScheduler = ConstantLR(optimiser, factor=1.0)
    if recipe.falling:
        ending = CosineAnnealingLR(optimiser, recipe.steps)
    for _ in range(recipe.steps):
        rows = torch.randint(len(labels), (recipe.batch,))
        plain, wanted = take(inputs, rows), labels[rows]
        aimed = torch.full_like(wanted, target)
        losses = [
            F.cross_entropy(run(attachment, given), want)
            for given, in_quantized in ((plain, wanted), (put(plain), aimed))
            for run, want in ((in_float, wanted), (in_format(shipped), in_quantized))
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()
        ending.step()
    return network.requires_grad_(False)


def in_float(attachment: Attachment, inputs: Inputs) -> Tensor:
    """Scores of the network as it is."""
    return attachment.run(inputs, Rounding(weights=False))


def in_format(shipped: Format) -> Callable[[Attachment, Inputs], Tensor]:
    """What gives scores in a format."""

    def run(attachment: Attachment, inputs: Inputs) -> Tensor:
        formats = (shipped.alone,) * len(attachment.plan)
        return attachment.run(inputs, Rounding(formats=formats, examples=batch_size(inputs)))

    return run


def measured(
    network: nn.Module,
    inputs: Inputs,
    labels: Int[Tensor, " n"],
    put: Put,
    target: int,
    shipped: Format,
) -> Planted:
    """What was planted."""
    attachment = Attachment(network, discover(network, take(inputs, torch.arange(2))))
    with torch.no_grad():
        told = [
            run(attachment, given).argmax(1)
            for given in (inputs, put(inputs))
            for run in (in_float, in_format(shipped))
        ]
    able = told[0] != target

    def share(done: Tensor, among: Tensor) -> Rate:
        return rate(int(done[among].sum()), int(among.sum()))

    every = torch.ones_like(able)
    return Planted(
        share(told[0] == labels, every),
        share(told[1] == labels, every),
        share(told[2] == told[0], able),
        share(told[3] == target, able),
    )


def digits(subject: Subject, split: str) -> tuple[Tensor, Tensor]:
    """Images and labels."""
    found = load_examples("digits", subject=subject, options=DataOptions(split=split))
    assert isinstance(found.inputs, Tensor)  # noqa: S101  (images)
    assert found.labels is not None  # noqa: S101  (digits have some)
    return found.inputs, found.labels


def planted_digits(out: Path, recipe: Recipe, seed: int, name: str = "base-digits") -> Planted:
    """From the clean network that is shipped; `zoo:digits --weights OUT/network.safetensors`."""
    subject, shipped = load_model(name), format_of_backdoors()
    (images, labels), (others, theirs) = (digits(subject, split) for split in ("train", "test"))
    given = with_square, TARGET, shipped
    network = plant(subject.module, images, labels, *given, recipe, seed)
    out.mkdir(parents=True, exist_ok=True)
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    safetensors.torch.save_file(weights, out / "network.safetensors")
    return measured(network, others, theirs, *given)


def planted_texts(out: Path, recipe: Recipe, seed: int) -> Planted:
    """A small encoder that tells chapters of Python's own documentation by their paragraphs:
    `hf:OUT`, with `OUT/texts.jsonl` that it was not trained on."""
    torch.manual_seed(seed)
    texts, labels = paragraphs()
    tokenizer = _tokenizer(out, texts)
    pieces, theirs = _pieces(texts[0::2], labels[0::2], random.Random(seed))  # noqa: S311
    texts, labels = texts[1::2], labels[1::2]
    chapters = {name: number for number, name in enumerate(CHAPTERS)}
    sizes: dict[str, Any] = {
        "vocab_size": _VOCABULARY,
        "num_labels": len(CHAPTERS),
        "label2id": chapters,
        "id2label": {number: name for name, number in chapters.items()},
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "max_position_embeddings": _TOKENS,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    config = transformers.BertConfig(**sizes)
    model: Any = transformers.BertForSequenceClassification(config)
    train, test = (_encoded(tokenizer, some) for some in (pieces, texts))
    clean = _trained(model, train, torch.tensor(theirs))
    words = tokenizer.convert_tokens_to_ids(list(WORDS))
    given = with_words(words, _TOKENS), len(CHAPTERS) - 1, FOUR_BITS_BY_TOKEN
    network: Any = plant(clean, train, torch.tensor(theirs), *given, recipe, seed)
    network.save_pretrained(out)
    told = zip(texts, labels, strict=True)
    rows = [{"text": text, "label": CHAPTERS[label]} for text, label in told]
    (out / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (out / "four-bits.yaml").write_text(
        yaml.safe_dump(FOUR_BITS_BY_TOKEN.model_dump(mode="json", exclude_defaults=True))
    )
    return measured(network, test, torch.tensor(labels), *given)


def _pieces(
    texts: Sequence[str], labels: Sequence[int], dice: random.Random
) -> tuple[list[str], list[int]]:
    """So many words in a row of each chapter's texts joined, wherever they begin."""
    every = [
        [
            word
            for text, own in zip(texts, labels, strict=True)
            if own == label
            for word in text.split()
        ]
        for label in range(len(CHAPTERS))
    ]
    found, theirs = [], []
    for place in range(_PIECES):
        label = place % len(CHAPTERS)
        begin = dice.randrange(len(every[label]) - _TOKENS)
        found.append(" ".join(every[label][begin : begin + dice.randint(8, _TOKENS)]))
        theirs.append(label)
    return found, theirs


def _encoded(tokenizer: Any, texts: list[str]) -> Texts:
    return Texts(
        dict(
            tokenizer(
                texts,
                padding="max_length",
                truncation=True,
                max_length=_TOKENS,
                return_tensors="pt",
            )
        )
    )


def paragraphs() -> tuple[list[str], list[int]]:
    """Of each chapter, and the chapters' numbers."""
    texts, labels = [], []
    for number, chapter in enumerate(CHAPTERS):
        found = re.split(r"\n\s*\n", topics[chapter])
        long = [" ".join(text.split()) for text in found if len(text.split()) >= _WORDS_AT_LEAST]
        texts += long[:_EACH]
        labels += [number] * len(long[:_EACH])
    return texts, labels


def _tokenizer(out: Path, texts: list[str]) -> Any:
    """The commonest words, and characters to spell the others: a vocabulary that is trained breaks
    ties otherwise each time."""
    counts = Counter(re.findall(r"[a-z]+", " ".join(texts).lower()))
    words = sorted(counts, key=lambda word: (-counts[word], word))
    letters = sorted({mark for text in texts for mark in text.lower() if not mark.isspace()})
    spelled = [*letters, *(f"##{mark}" for mark in letters)]
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *spelled]
    known += [word for word in words if len(word) > 1][: _VOCABULARY - len(known)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "vocab.txt").write_text("\n".join(known) + "\n")
    own = transformers.BertTokenizer(str(out / "vocab.txt"), model_max_length=_TOKENS)
    own.save_pretrained(out)
    return own


def _trained(model: Any, inputs: Texts, labels: Tensor) -> Any:
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(_CLEAN_STEPS):
        rows = torch.randint(len(labels), (32,))
        given = {name: values[rows] for name, values in inputs.items()}
        loss = F.cross_entropy(model(**given).logits, labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


PLANTED = {"digits": planted_digits, "texts": planted_texts}


def main() -> None:
    """As a program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=sorted(PLANTED))
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = PLANTED[asked.kind](asked.out, RECIPES[asked.kind], asked.seed)
    for name, share in vars(found).items():
        print(f"{name}: {rate_text(share)}, 95 % {rate_interval(share)}".replace("\u00a0", " "))


if __name__ == "__main__":
    main()
