import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.points.forward import batches, logits_of, takes_images
from bitcliff.tasks.classification import flat_scores
from bitcliff.types.subject import Preprocessing


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


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 1, 1), (2, 1, 5), (2, 1, 1, 5)])
def test_axes_of_size_one_are_dropped_from_scores(shape: tuple[int, ...]) -> None:
    model = torch.nn.Unflatten(1, shape[1:])
    scores = torch.randn(2, 5)
    assert torch.equal(logits_of(model, scores), scores)


def test_axes_that_hold_more_than_classes_stay() -> None:
    assert flat_scores(torch.zeros(2, 1, 1)).shape == (2, 1)
    assert flat_scores(torch.zeros(2)).shape == (2,)
    with pytest.raises(InputError, match=r"but gave shape \(2, 5, 3, 1\)"):
        logits_of(torch.nn.Unflatten(1, (5, 3, 1)), torch.zeros(2, 15))


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((2, 3, 8, 8), True),
        ((2, 1, 8, 8), True),
        ((2, 8, 8, 3), True),
        ((2, 64, 100, 1), False),
        ((2, 8), False),
        ((2, 4, 8, 8), False),
    ],
)
def test_what_is_an_image(shape: tuple[int, ...], found: bool) -> None:
    x, ids = torch.zeros(shape), torch.zeros(2, 3, 8, 8).long()
    assert takes_images(x, None) == found
    assert takes_images({"x": x, "ids": ids}, None) == found


def test_a_grey_image_may_have_its_channel_last_where_the_model_says_so() -> None:
    grey = Preprocessing((64, 100), 1, mean=(0.0,), std=(1.0,), channels_last=True)
    assert takes_images(torch.zeros(2, 64, 100, 1), grey)
