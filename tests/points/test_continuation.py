"""What float goes on with, held against transformers' own greedy decoding."""

from typing import Any

import pytest
import torch
import transformers
from torch import nn

from bitcliff.errors import InputError
from bitcliff.points.continuation import continued
from bitcliff.points.find_task import judge_by
from bitcliff.points.forward import logits_of
from bitcliff.points.outputs import give_only
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.types.subject import DECODED, MASK, Inputs, Texts

N, K, END = 6, 9, 1


def a_translator(seed: int) -> Any:
    """Of random weights: what is tested holds for any."""
    torch.manual_seed(seed)
    make: Any = transformers.T5Config
    config = make(
        vocab_size=12, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        decoder_start_token_id=0, eos_token_id=END, pad_token_id=0, initializer_factor=4.0,
    )  # fmt: skip
    network: Any = transformers.T5ForConditionalGeneration
    return network(config).eval()


def texts() -> Texts:
    """Of three lengths; one as long as what is decoded, which a mask might be mistaken for."""
    ids = torch.randint(2, 12, (N, K), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(K) < torch.tensor([K, 4, 6, K, 4, 6])[:, None]
    begun = torch.zeros(N, 1, dtype=torch.int64)
    return Texts({"input_ids": ids * mask, MASK: mask.long(), DECODED: begun})


def judged(module: nn.Module) -> AgainstFloat:
    give_only(module, "logits")
    judge_by(module, f"continuation:{K}")
    task = task_of(module)
    assert isinstance(task, AgainstFloat)
    return task


def generated(module: Any, given: Texts) -> list[list[int]]:
    """What transformers decodes, of each alone."""
    return [
        module.generate(**one.given, max_new_tokens=K, do_sample=False)[0, 1:].tolist()
        for one in given.one_by_one()
    ]


@pytest.mark.parametrize("seed", [6, 7, 8])
def test_it_is_what_transformers_decodes_up_to_the_end(seed: int) -> None:
    module, given = a_translator(seed), texts()
    theirs = generated(module, given)
    task = judged(module)
    whole = continued(module, given)
    assert isinstance(whole, Texts)
    assert whole[DECODED].shape == (N, K)
    for row, one in enumerate(whole.one_by_one()):
        assert bool((logits_of(module, one)[:, 0] > 0).all())
        assert float(task.shares[0]) == 1
        wanted, found = theirs[row], whole[DECODED][row, 1:].tolist()
        length = wanted.index(END) + 1 if END in wanted else K
        assert found[: length - 1] == wanted[: length - 1]
        assert set(found[length - 1 :]) <= {END}, "an end stands again behind itself"
    assert {END in one for one in theirs} == {True, False}, "some end early, and some do not"


def test_what_stands_behind_an_end_counts_for_nothing() -> None:
    module = a_translator(6)
    task = judged(module)
    whole = continued(module, texts())
    one = next(one for one in whole.one_by_one() if END in one[DECODED][0, 1:])  # type: ignore[union-attr]
    logits_of(module, one)
    output, _, decided = task._last  # type: ignore[misc]
    end = one[DECODED][0, 1:].tolist().index(END) + 1
    for place in range(K):
        other = output.clone()
        other[0, place] = -other[0, place]
        lead = float(task.kind.lead(other, one, decided)[0])
        assert (lead < 0) == (place < end), place
        share = float(task.kind.share(other, one, decided)[0])
        assert share == pytest.approx(min(place / end, 1))


def test_more_than_the_network_writes_is_refused() -> None:
    module = a_translator(0)
    module.config.max_target_positions = 5
    judged(module)
    with pytest.raises(InputError, match="continuation:9: the model writes no more than 5 tokens"):
        continued(module, texts())


def test_inputs_without_tokens_are_as_they_were() -> None:
    module, given = a_translator(0), torch.zeros(2, 3)
    judged(module)
    same: Inputs = continued(module, given)
    assert same is given
