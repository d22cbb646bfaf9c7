from typing import Any

import pytest
import torch

from bitcliff.testing import assert_quantization_safe
from tests.questions.variants.planted import Outlier, examples

ASKED: dict[str, Any] = {"numerics": ("vllm-int8-token",), "budgets": (), "include_stem": True}


def batches(large: float, n: int = 200) -> list[tuple[torch.Tensor, torch.Tensor]]:
    x = examples(n, large)
    with torch.no_grad():
        return [(x, Outlier()(x).argmax(1))]


def test_a_network_that_the_format_breaks_fails_and_one_that_it_does_not_passes() -> None:
    network = Outlier().eval()
    assert_quantization_safe(network, batches(1.0), max_drop=5, **ASKED)
    with pytest.raises(AssertionError, match="in vllm-int8-token, accuracy drops by 29"):
        assert_quantization_safe(network, batches(400.0), max_drop=5, **ASKED)


def test_too_few_examples_to_tell_fail_too() -> None:
    with pytest.raises(AssertionError, match="too few examples to tell"):
        assert_quantization_safe(Outlier().eval(), batches(1.0, 12), max_drop=2, **ASKED)
