import pytest
import torch

from bitcliff.errors import BitcliffError, InputError
from bitcliff.policy import Batch, PerExample, Static, Uniform


def batch(*indices: int) -> Batch:
    return Batch(torch.zeros(len(indices), 1), torch.tensor(indices))


def test_uniform_gives_every_point_the_same() -> None:
    policy = Uniform(3, 5)
    assert (policy.points, policy.total) == (3, 15)
    assert policy(batch(7, 0)).tolist() == [[5, 5, 5], [5, 5, 5]]


def test_static_gives_every_example_the_same() -> None:
    policy = Static(torch.tensor([3, 9, 4]))
    assert policy.total == 16
    assert policy(batch(2, 1)).tolist() == [[3, 9, 4], [3, 9, 4]]


def test_a_table_is_looked_up_by_index_not_by_order() -> None:
    table = torch.tensor([[3, 6], [4, 5], [6, 3]])
    policy = PerExample(table)
    assert policy(batch(2, 0, 0)).tolist() == [[6, 3], [3, 6], [3, 6]]
    assert policy.total == 9


def test_a_table_must_have_one_total() -> None:
    with pytest.raises(InputError, match=r"different totals.*9, 10"):
        PerExample(torch.tensor([[3, 6], [4, 6]]))


def test_a_table_is_held_to_the_options_it_names() -> None:
    policy = PerExample(torch.tensor([[3, 6], [4, 5]]), options=(4, 5))
    assert policy(batch(1)).tolist() == [[4, 5]]
    with pytest.raises(BitcliffError, match="outside"):
        policy(batch(0))
