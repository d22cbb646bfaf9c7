import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.tasks import NextToken
from bitcliff.types.subject import MASK

OUTPUT = torch.arange(2 * 4 * 3).view(2, 4, 3).float()
LENGTHS = (2, 4)


@pytest.mark.parametrize(("side", "last"), [("right", (1, 3)), ("left", (3, 3))])
def test_the_last_token_goes_on_wherever_the_padding_is(side: str, last: tuple[int, int]) -> None:
    rows = [[1] * n + [0] * (4 - n) for n in LENGTHS]
    mask = torch.tensor([row if side == "right" else row[::-1] for row in rows])
    found = NextToken().scores(OUTPUT, {"input_ids": mask, MASK: mask})
    assert torch.equal(found, torch.stack([OUTPUT[row, place] for row, place in enumerate(last)]))


def test_without_a_mask_all_are_tokens() -> None:
    assert torch.equal(NextToken().scores(OUTPUT, torch.zeros(2, 4)), OUTPUT[:, 3])
    with pytest.raises(
        InputError, match=r"scores \(batch, positions, tokens\), but gave shape \(2"
    ):
        NextToken().scores(OUTPUT[:, 0], torch.zeros(2, 4))
