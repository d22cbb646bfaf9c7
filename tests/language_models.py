"""A small language model of Llama's architecture, trained in seconds on real prose."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import ByteLevelBPETokenizer
from torch.nn import functional as F  # noqa: N812

from tests.text_classifiers import TESTING, TRAINING, paragraphs

TOKENS, _VOCABULARY = 48, 600
_END = "<|end|>"


@cache
def _trained() -> tuple[Any, Any]:
    """The model and its tokenizer."""
    texts = paragraphs()[0][TRAINING]
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(texts, _VOCABULARY, special_tokens=[_END], show_progress=False)
    fast: Any = transformers.PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=made._tokenizer, eos_token=_END, model_max_length=TOKENS)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=_VOCABULARY, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=TOKENS,
        tie_word_embeddings=True, eos_token_id=0, bos_token_id=None,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).train()
    ids = torch.cat([torch.tensor(tokenizer(text)["input_ids"]) for text in texts])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        starts = torch.randint(len(ids) - 33, (12,))
        rows = ids[starts[:, None] + torch.arange(33)]
        scores = model(input_ids=rows[:, :-1]).logits
        loss = F.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False), tokenizer


def save_language_model(folder: Path) -> None:
    """As `hf:DIR` finds it."""
    model, tokenizer = _trained()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def prose(count: int) -> list[str]:
    """So many beginnings of paragraphs that it was not trained on, of different lengths."""
    texts = paragraphs()[0][TESTING][:count]
    return [" ".join(text.split()[: 4 + 5 * (place % 4)]) for place, text in enumerate(texts)]
