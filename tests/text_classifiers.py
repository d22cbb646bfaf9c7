"""Small text classifiers, trained in seconds on real prose: which chapter is a paragraph of?"""

import inspect
import re
import warnings
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
import transformers
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bitcliff.adapters.optional import quiet

CHAPTERS = ("debugger", "string-methods", "specialnames", "compound")
"""Of the Python language's own documentation, which comes with it."""
EACH, TOKENS = 80, 32

_SIZES: dict[str, dict[str, Any]] = {
    "Bert": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": TOKENS,
    },
    "DistilBert": {
        "dim": 32,
        "hidden_dim": 64,
        "n_layers": 1,
        "n_heads": 2,
        "max_position_embeddings": TOKENS,
    },
}
# Its positions are counted from behind the padding's id.
_SIZES["Roberta"] = {**_SIZES["Bert"], "max_position_embeddings": TOKENS + 2, "pad_token_id": 0}


@cache
def paragraphs() -> tuple[list[str], list[int]]:
    """As many of each chapter, and the chapters' numbers; every other one is for tests."""
    texts, labels = [], []
    for number, chapter in enumerate(CHAPTERS):
        found = re.split(r"\n\s*\n", topics[chapter])
        long = [" ".join(text.split()) for text in found if len(text.split()) >= 8]
        texts += long[:EACH]
        labels += [number] * len(long[:EACH])
    return texts, labels


def save_tokenizer(folder: Path) -> Any:
    """Trained on all paragraphs, as `hf:DIR` finds it."""
    made = BertWordPieceTokenizer()
    made.train_from_iterator(paragraphs()[0], vocab_size=1000, show_progress=False)
    folder.mkdir(exist_ok=True)
    made.save_model(str(folder))
    own = transformers.BertTokenizer(str(folder / "vocab.txt"), model_max_length=TOKENS)
    own.save_pretrained(folder)
    return own


def tokens(model: Any, tokenizer: Any, part: slice) -> tuple[dict[str, Tensor], Tensor]:
    """Paragraphs as the model's named tensors, all of `TOKENS` tokens, padded; and labels."""
    texts, labels = paragraphs()
    encoded = tokenizer(
        texts[part], padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
    )
    known = inspect.signature(model.forward).parameters
    return {name: encoded[name] for name in encoded if name in known}, torch.tensor(labels[part])


TRAINING, TESTING = slice(0, None, 2), slice(1, None, 2)


def trained(kind: str, tokenizer: Any, steps: int = 100) -> Any:
    """A classifier of this architecture ("Bert", "DistilBert" or "Roberta"), in eval mode."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=1000,
        num_labels=len(CHAPTERS),
        id2label=dict(enumerate(CHAPTERS)),
        label2id={name: number for number, name in enumerate(CHAPTERS)},
        **_SIZES[kind],
    )
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config).train()
    inputs, labels = tokens(model, tokenizer, TRAINING)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        chosen = torch.randperm(len(labels))[:32]
        given = {name: values[chosen] for name, values in inputs.items()}
        loss = F.cross_entropy(model(**given).logits, labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


class _InOrder(nn.Module):
    """The scores alone, of inputs in their order, as the exporters want a network."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        scores: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return scores


def export(
    model: nn.Module, inputs: dict[str, Tensor], file: Path, dynamo: bool, any_length: bool
) -> None:
    """By PyTorch's newer or older exporter, for any number of examples, perhaps of any length."""
    axes = {0: "batch", 1: "tokens"} if any_length else {0: "batch"}
    network = _InOrder(model, list(inputs)).eval()
    given = tuple(values[:2] for values in inputs.values())
    export = partial(torch.onnx.export, network, given, file, input_names=list(inputs))
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = (tuple(axes for _ in inputs),)
            export(dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False)
        else:
            export(dynamo=False, dynamic_axes=dict.fromkeys(inputs, axes), opset_version=17)


def save_texts(folder: Path, count: int) -> None:
    """As many of the paragraphs for tests, of all chapters, as a data set with a test split."""
    import datasets

    texts, labels = (values[TESTING] for values in paragraphs())
    step = len(texts) // count
    feature = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(CHAPTERS))}
    )
    rows = {"text": texts[::step][:count], "label": labels[::step][:count]}
    split = datasets.Dataset.from_dict(rows, features=feature)
    datasets.DatasetDict({"test": split}).save_to_disk(str(folder))
