"""Sentence encoders, held against transformers' own network and a mean by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from bitcliff.adapters import load_examples, load_model
from bitcliff.errors import InputError
from bitcliff.points.forward import output_of
from bitcliff.tasks import task_of
from tests.text_classifiers import TOKENS, paragraphs, save_tokenizer


def encoder(folder: Path, pooling: dict[str, Any], steps: tuple[str, ...]) -> Any:
    """A small network as sentence-transformers saves one."""
    tokens = save_tokenizer(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=TOKENS, vocab_size=len(tokens),
    )  # fmt: skip
    network: Any = transformers.BertModel(config)
    network.eval()
    network.save_pretrained(folder)
    kinds = [{"type": f"sentence_transformers.models.{one}", "path": f"1_{one}"} for one in steps]
    (folder / "modules.json").write_text(json.dumps(kinds))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 20}')
    return network, tokens


@pytest.mark.parametrize("mean", [True, False])
def test_a_text_is_the_mean_of_its_tokens_or_the_first(tmp_path: Path, mean: bool) -> None:
    pooling = {"pooling_mode_mean_tokens": mean, "pooling_mode_cls_token": not mean}
    network, tokens = encoder(tmp_path / "e", pooling, ("Transformer", "Pooling", "Normalize"))
    subject = load_model(f"hf:{tmp_path / 'e'}")
    assert task_of(subject.module).name == "embedding"
    texts = paragraphs()[0][:4]
    (tmp_path / "t.txt").write_text("\n".join(texts))
    examples = load_examples(str(tmp_path / "t.txt"), subject=subject)
    found = output_of(subject.module, examples.inputs)  # padded, as some are shorter
    for name, vector in zip(examples.ids, found, strict=True):
        text = texts[int(name.removeprefix("line ")) - 1]
        given = tokens(text, truncation=True, max_length=20, return_tensors="pt")
        with torch.no_grad():
            (states,) = network(**given).last_hidden_state
        expected = states.mean(0) if mean else states[0]
        torch.testing.assert_close(vector, expected / expected.norm(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("pooling", "steps", "said"),
    [
        (
            {"pooling_mode_max_tokens": True},
            ("Transformer", "Pooling"),
            "pools by pooling_mode_m",
        ),
        ({}, ("Transformer", "Pooling"), "pools by nothing"),
        ({}, ("Transformer", "Pooling", "Dense"), "has steps Transformer, Pooling, Dense; only"),
    ],
)
def test_other_steps_are_refused(
    tmp_path: Path, pooling: dict[str, Any], steps: tuple[str, ...], said: str
) -> None:
    encoder(tmp_path / "e", pooling, steps)
    with pytest.raises(InputError, match=said):
        load_model(f"hf:{tmp_path / 'e'}")
