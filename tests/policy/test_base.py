import pytest
import torch
from torch import Tensor

from bitcliff.errors import BitcliffError, InputError
from bitcliff.policy import Batch, Policy


class Given(Policy):
    """Gives what it is made with."""

    def __init__(self, bits: Tensor, total: int = 9) -> None:
        super().__init__(2, (3, 4, 5, 6), total)
        self.bits = bits

    def allocate(self, batch: Batch) -> Tensor:
        return self.bits


TWO = Batch(torch.zeros(2, 1), torch.arange(2))


def test_bits_that_keep_the_word_pass() -> None:
    bits = torch.tensor([[3, 6], [5, 4]])
    assert Given(bits)(TWO).tolist() == bits.tolist()


@pytest.mark.parametrize(
    ("bits", "word"),
    [
        ([[3, 6], [5, 5]], "9 bits"),
        ([[3, 6], [4, 4]], "9 bits"),
        ([[3, 6], [2, 7]], "outside"),
        ([[3, 6]], "not .batch, 2."),
        ([[3, 6, 0], [3, 6, 0]], "not .batch, 2."),
    ],
)
def test_a_policy_that_breaks_its_word_is_found_out(bits: list[list[int]], word: str) -> None:
    with pytest.raises(BitcliffError, match=f"Given .*{word}"):
        Given(torch.tensor(bits))(TWO)


def test_a_policy_needs_a_point() -> None:
    class Empty(Policy):
        def allocate(self, batch: Batch) -> Tensor:
            return torch.zeros(len(batch.index), 0, dtype=torch.int64)

    with pytest.raises(InputError, match="at least one point"):
        Empty(0, (3,), 0)
