import numpy as np
import pytest
import torch

from bitcliff.questions.variants.observe import observe_variants
from bitcliff.types.presets import preset
from bitcliff.types.variants import variants_of
from tests.questions.variants.planted import CHANNELS, Outlier, context_of, examples, observed


def test_every_variant_is_run_where_something_is_lost() -> None:
    record, found = observed()
    [one] = found.formats
    assert one.policy == "vllm-int8-token"
    assert [tried.variant for tried in one.tried] == variants_of(preset("vllm-int8-token"))
    assert len(found.half) == 60
    assert np.array_equal(one.prediction, record.outcomes["vllm-int8-token"].prediction)


def test_the_format_as_it_is_is_what_numpy_says() -> None:
    _, found = observed()
    x, weight = examples(120, 400.0).numpy(), Outlier().layer.weight.detach().numpy()

    def rounded(rows: np.ndarray, block: int) -> np.ndarray:
        parts = rows.reshape(-1, block)
        most = np.abs(parts).max(1, keepdims=True)
        steps = np.clip(np.rint(parts * (np.float32(127) / most)), -127, 127)
        return np.asarray(steps * (most / np.float32(127))).reshape(rows.shape)

    right = np.where((x[:, 1:].sum(1) > 0), 0, 1)
    prediction = found.formats[0].prediction
    scores = rounded(x, CHANNELS) @ rounded(weight, CHANNELS).T
    assert (scores.argmax(1) == prediction).mean() > 0.97
    assert (prediction != right).sum() > 20


def test_nothing_is_tried_where_nothing_is_lost() -> None:
    found = observe_variants(context_of(1.0, 24, "vllm-int8-token"))
    assert [len(one.tried) for one in found.formats] == [0]


def test_a_run_without_formats_observes_nothing() -> None:
    found = observe_variants(context_of(1.0, 24))
    assert (len(found.half), found.formats) == (0, [])


@pytest.mark.parametrize("name", ["ort-uint8", "mxfp4-floor", "ct-int8-token"])
def test_other_formats_leave_the_network_as_it_was(name: str) -> None:
    context = context_of(400.0, 24, name)
    evaluator, everyone = context.test.evaluator, context.test.everyone
    formats = (preset(name),)
    before = evaluator.format_scores(everyone, formats).logits
    observe_variants(context)
    assert torch.equal(evaluator.format_scores(everyone, formats).logits, before)
