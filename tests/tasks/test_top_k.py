"""Whether a class is among the best, against torch's own choice of the k largest."""

import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.tasks.top_k import TopK
from bitcliff.tasks.values import Values


@pytest.mark.parametrize("best", [1, 3, 5])
def test_it_is_among_the_k_largest(best: int) -> None:
    random = torch.Generator().manual_seed(best)
    scores = torch.randn(200, 9, generator=random)
    wanted = torch.randint(9, (200, 1), generator=random)
    lead = TopK(best).lead(scores, scores, wanted)
    among = (scores.topk(best, 1).indices == wanted).any(1)
    assert torch.equal(lead > 0, among)
    assert torch.equal(TopK(best).share(scores, scores, wanted), among.float())
    # The lead is what the wanted score may lose at most.
    row = int(among.nonzero()[0])
    for less, stays in ((0.99, True), (1.01, False)):
        moved = scores.clone()
        moved[row, wanted[row, 0]] -= less * lead[row]
        assert bool(TopK(best).lead(moved, moved, wanted)[row] > 0) == stays


def test_of_equal_scores_the_first_classes_are_the_best() -> None:
    equal = torch.zeros(4, 4)
    lead = TopK(2).lead(equal, equal, torch.arange(4)[:, None])
    assert (lead >= 0).tolist() == [True, True, False, False]


def test_labels_are_classes() -> None:
    output = torch.randn(1, 4)
    assert TopK(2).told(output, torch.tensor([3])).tolist() == [[3]]
    for wrong in ([4], [-1], [0.5], [1, 2]):
        with pytest.raises(InputError, match="one class from 0 to 3"):
            TopK(2).told(output, torch.tensor(wrong))
    with pytest.raises(InputError, match="has 4 classes, which must be more"):
        TopK(4).decided(output, output)


def test_a_tolerance_may_be_a_share_of_what_is_wanted() -> None:
    wanted, found = torch.tensor([[100.0, -2.0]]), torch.tensor([[104.0, -2.2]])
    assert Values(0.05, relative=True).share(found, found, wanted).item() == 0.5
    assert Values(0.05, relative=True).lead(found, found, wanted).item() == pytest.approx(-0.1)
    assert Values(0.2, relative=True).name == "values:20%"
