from itertools import groupby, product

import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.tasks.ctc import Ctc

NOTHING = torch.empty(0)


def read(path: list[int], blank: int) -> list[int]:
    """As the definition has it: merge repeats, then drop blanks."""
    return [symbol for symbol, _ in groupby(path) if symbol != blank]


@pytest.mark.parametrize("blank", [0, 2])
def test_a_string_is_kept_when_it_is_read_the_same(blank: int) -> None:
    random = torch.Generator().manual_seed(blank)
    theirs = torch.randn(200, 6, 3, generator=random)
    theirs[..., blank] += 0.5
    ours = theirs + 0.5 * torch.randn(200, 6, 3, generator=random)
    task = Ctc(blank)
    lead = task.lead(ours, NOTHING, task.decided(theirs, NOTHING))
    paths = [
        (a.argmax(1).tolist(), b.argmax(1).tolist()) for a, b in zip(ours, theirs, strict=True)
    ]
    expected = [read(a, blank) == read(b, blank) for a, b in paths]
    assert (lead > 0).tolist() == expected
    # Among them strings that stay although a frame changes.
    assert any(same and a != b for same, (a, b) in zip(expected, paths, strict=True))


def test_a_search_follows_the_weakest_frame() -> None:
    theirs = torch.tensor([[[0.0, 3.0], [0.5, 0.0], [0.0, 2.0]]])
    ours = theirs.clone().requires_grad_()
    task = Ctc()
    lead = task.lead(ours, NOTHING, task.decided(theirs, NOTHING))
    assert lead.tolist() == [0.5]
    lead.sum().backward()
    assert ours.grad is not None
    assert ours.grad[0].tolist() == [[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]]


def distance(a: list[int], b: list[int]) -> int:
    """Insertions, deletions and substitutions, by the definition."""
    if not a or not b:
        return len(a) + len(b)
    swap = distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(swap, distance(a[1:], b) + 1, distance(a, b[1:]) + 1)


def test_the_score_is_one_less_the_error_rate() -> None:
    random = torch.Generator().manual_seed(3)
    ours, theirs = torch.randn(2, 40, 6, 4, generator=random)
    task = Ctc()
    shares = task.share(ours, NOTHING, task.decided(theirs, NOTHING)).tolist()
    for share, a, b in zip(shares, ours.argmax(2).tolist(), theirs.argmax(2).tolist(), strict=True):
        wanted, errors = read(b, 0), distance(read(a, 0), read(b, 0))
        assert share == pytest.approx(max(0.0, 1 - errors / max(len(wanted), 1)))


@pytest.mark.parametrize("word", [[], [1], [1, 1], [1, 2, 1], [2, 2, 1]])
def test_a_label_is_laid_along_the_frames_where_it_fits_best(word: list[int]) -> None:
    frames = torch.randn(5, 3, generator=torch.Generator().manual_seed(len(word)))
    padded = torch.tensor([*word, -1, -1])
    (path,) = Ctc().told(frames[None], padded).tolist()
    assert read(path, 0) == word
    shares = frames.log_softmax(1)
    every = [p for p in product(range(3), repeat=5) if read(list(p), 0) == word]
    best = max(sum(float(shares[t, s]) for t, s in enumerate(p)) for p in every)
    assert sum(float(shares[t, s]) for t, s in enumerate(path)) == pytest.approx(best)


def test_a_label_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="a label of 3 symbols does not go into the 4 frames"):
        Ctc().told(torch.zeros(1, 4, 3), torch.tensor([1, 1, 1]))
    with pytest.raises(InputError, match="a label has symbol 3"):
        Ctc().told(torch.zeros(1, 4, 3), torch.tensor([3]))
