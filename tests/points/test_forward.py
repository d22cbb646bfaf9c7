import pytest
import torch

from bitcliff.points.forward import batches


@pytest.mark.parametrize(("n", "size"), [(1, 1), (1, 4), (7, 3), (9, 3), (12, 5), (5, 12)])
def test_batches_yield_every_row_once_and_fill_the_last_with_its_last_entry(
    n: int, size: int
) -> None:
    index = 100 + torch.randperm(n, generator=torch.Generator().manual_seed(n))
    found = list(batches(index, size))
    assert [row for rows, _ in found for row in rows.tolist()] == list(range(n))
    assert len(found) == -(-n // size)
    for rows, entries in found:
        assert len(entries) == size
        assert entries[: len(rows)].tolist() == [int(index[row]) for row in rows]
        assert set(entries[len(rows) :].tolist()) <= {int(index[-1])}
    assert all(len(rows) == size for rows, _ in found[:-1])
