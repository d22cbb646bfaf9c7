"""What of an example is padding, and the same with more or less of it."""

import pytest
import torch

from bitcliff.errors import InputError
from bitcliff.questions.lengths.padding import padding_of

EVERYONE = torch.arange(2)


def named(**values: list[list[int]]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_texts_are_padded_as_the_data_pads_them() -> None:
    given = named(
        input_ids=[[5, 6, 7, 8], [5, 0, 1, 1]],
        attention_mask=[[1, 1, 1, 1], [1, 1, 0, 0]],
        token_type_ids=[[0, 1, 1, 1], [0, 1, 0, 0]],
    )
    found = padding_of(given)
    assert found.own.tolist() == [4, 2]
    assert found.words == "input_ids 1, attention_mask 0, token_type_ids 0, behind the tokens"
    longer = found.to(6, EVERYONE)
    assert isinstance(longer, dict)
    assert longer["input_ids"].tolist() == [[5, 6, 7, 8, 1, 1], [5, 0, 1, 1, 1, 1]]
    assert longer["attention_mask"].sum(1).tolist() == [4, 2]
    assert longer["token_type_ids"].tolist() == [[0, 1, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]]
    shorter = found.to(2, torch.tensor([1]))
    assert isinstance(shorter, dict)
    assert shorter["input_ids"].tolist() == [[5, 0]]


def test_padding_in_front_stays_there() -> None:
    given = named(input_ids=[[5, 6, 7], [9, 9, 4]], attention_mask=[[1, 1, 1], [0, 0, 1]])
    found = padding_of(given)
    assert found.own.tolist() == [3, 1]
    assert found.words.endswith("in front of the tokens")
    longer = found.to(4, EVERYONE)
    assert isinstance(longer, dict)
    assert longer["input_ids"].tolist() == [[9, 5, 6, 7], [9, 9, 9, 4]]
    shorter = found.to(1, torch.tensor([1]))
    assert isinstance(shorter, dict)
    assert shorter["input_ids"].tolist() == [[4]]


def test_without_a_mask_zeros_behind_are_padding() -> None:
    found = padding_of(torch.tensor([[3, 0, 4, 0], [0, 0, 0, 0]]))
    assert found.own.tolist() == [3, 1]
    assert found.words == "ids 0, behind the tokens"
    longer = found.to(5, EVERYONE)
    assert isinstance(longer, torch.Tensor)
    assert longer.tolist() == [[3, 0, 4, 0, 0], [0] * 5]


def test_what_has_no_length_is_left_as_it_is() -> None:
    given = named(ids=[[1, 2], [3, 0]], language=[[7], [8]])
    given["volume"] = torch.rand(2, 3)
    found = padding_of(given).to(3, EVERYONE)
    assert isinstance(found, dict)
    assert found["ids"].shape == (2, 3)
    assert torch.equal(found["language"], given["language"])
    assert torch.equal(found["volume"], given["volume"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (torch.rand(2, 1, 8, 8), "neither token ids"),
        (torch.rand(2, 3, 8), "neither token ids"),
        ({"a": torch.rand(2, 4), "b": torch.rand(2, 4)}, "neither token ids"),
        (
            named(ids=[[1, 2, 3]] * 2, mask=[[1, 0, 1], [1, 1, 1]]),
            "its mask leaves out tokens between others",
        ),
    ],
)
def test_what_cannot_be_padded(given: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        padding_of(given)  # type: ignore[arg-type]
