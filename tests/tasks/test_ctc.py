from itertools import groupby

import pytest
import torch

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
