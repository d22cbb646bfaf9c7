"""What every task must satisfy."""

import pytest
import torch
from torch import Tensor

from bitcliff.errors import InputError
from bitcliff.tasks import Task
from bitcliff.tasks.against_float import AgainstFloat, Comparison
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.neighbours import Nearest

N = 5
# A name, what a network of that task gives, and what it cannot give.
TASKS: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
    ("classification", (N, 4), (N, 4, 3)),
    ("classification:top2", (N, 4), (N, 4, 3)),
    ("threshold:0.2", (N, 1), (N, 2)),
    ("next-token", (N, 3, 6), (N, 6)),
    ("continuation:3", (N, 7, 4), (N, 4)),
    ("positions", (N, 7, 4), (N, 4)),
    ("positions:0.3", (N, 4, 3, 2), (N, 4)),
    ("iou:0.3", (N, 4, 3, 2), (N, 4)),
    ("ctc", (N, 7, 4), (N, 4)),
    ("labels:0", (N, 6), (2 * N, 6)),
    ("values:0.3", (N, 2), (2 * N, 2)),
    ("values:5%", (N, 2), (2 * N, 2)),
    ("embedding:0.9", (N, 8), (2 * N, 8)),
    ("embedding", (N, 8), (2 * N, 8)),
    ("detection:0.5", (N, 12, 7), (N, 7)),
    ("span", (N, 2, 7), (N, 3, 7)),
]
every_task = pytest.mark.parametrize(("name", "shape", "wrong"), TASKS, ids=[t[0] for t in TASKS])


def made(name: str, in_float: Tensor, inputs: Tensor) -> Task:
    """A task, of a network that gives these outputs for these inputs in float."""
    found = read_task(name)
    if not isinstance(found, Comparison):
        return found
    if isinstance(found, Nearest):
        found.fill(in_float, None)
    by_input = {float(one): output for one, output in zip(inputs, in_float, strict=True)}
    return AgainstFloat(found, lambda asked: torch.stack([by_input[float(one)] for one in asked]))


def given(name: str, values: Tensor) -> Tensor:
    """What a network of that task could give, of any values."""
    if not name.startswith("detection"):
        return values
    corners = torch.cat([values[:, :, :2], values[:, :, :2] + values[:, :, 2:4].abs()], 2)
    return torch.cat([corners, values[:, :, 4:].sigmoid()], 2)


@every_task
def test_a_score_for_each_decision_and_a_gradient_to_follow(
    name: str, shape: tuple[int, ...], wrong: tuple[int, ...]
) -> None:
    random = torch.Generator().manual_seed(0)
    in_float = given(name, torch.randn(shape, generator=random))
    inputs = torch.arange(float(N))
    task = made(name, in_float, inputs)
    assert read_task(task.name).name == task.name
    assert task.words[0].islower()
    assert not task.words.endswith(".")
    output = (in_float + 0.1 * torch.randn(shape, generator=random)).requires_grad_()
    scores = task.scores(output, inputs)
    assert scores.shape[0] == N
    assert scores.shape[1] == (len(task.decisions) if task.decisions else scores.shape[1])
    (gradient,) = torch.autograd.grad(scores[:, 0].sum() - scores[:, 1].sum(), output)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1) != 0).any(1).all()


@every_task
def test_an_example_is_decided_alike_alone_and_in_a_batch(
    name: str, shape: tuple[int, ...], wrong: tuple[int, ...]
) -> None:
    random = torch.Generator().manual_seed(1)
    in_float = given(name, torch.randn(shape, generator=random))
    inputs = torch.arange(float(N))
    output = in_float + 0.5 * torch.randn(shape, generator=random)
    together = made(name, in_float, inputs).scores(output, inputs)
    task = made(name, in_float, inputs)
    for row in range(N):
        alone = task.scores(output[[row]], inputs[[row]])
        assert torch.equal(alone[0], together[row])


@every_task
def test_another_output_is_refused_in_one_line(
    name: str, shape: tuple[int, ...], wrong: tuple[int, ...]
) -> None:
    inputs = torch.arange(float(N))
    with pytest.raises(InputError, match=r"the model (must give|gave shape)") as caught:
        made(name, torch.zeros(shape), inputs).scores(torch.zeros(wrong), inputs)
    assert "\n" not in str(caught.value)


@every_task
def test_float_is_as_float_is(name: str, shape: tuple[int, ...], wrong: tuple[int, ...]) -> None:
    in_float, inputs = given(name, torch.randn(shape)), torch.arange(float(N))
    task = made(name, in_float, inputs)
    if isinstance(task, AgainstFloat):
        assert task.scores(in_float, inputs).argmax(1).tolist() == [0] * N
        assert (task.shares == 1).all()


@pytest.mark.parametrize(
    "name", ["labels:0", "positions", "positions:0.3", "span", "continuation:2"]
)
def test_what_ties_is_as_float_has_it_only_if_it_is_decided_alike(name: str) -> None:
    """Formats of few values give scores that are the same to the bit."""
    random = torch.Generator().manual_seed(3)
    shape = {"labels:0": (40, 3), "span": (40, 2, 3)}.get(name, (40, 4, 3))
    in_float, inputs = torch.randn(shape, generator=random), torch.arange(40.0)
    output = in_float.round()
    task = made(name, in_float, inputs)
    assert isinstance(task, AgainstFloat)
    kept = task.scores(output, inputs).argmax(1) == 0
    pairs = zip(task.kind.decided(output, inputs), task.kind.decided(in_float, inputs), strict=True)
    lost = [(a != b).float().mean() for a, b in pairs]
    allowed = 0.3 if name == "positions:0.3" else 0.0
    assert kept.tolist() == [float(share) <= allowed for share in lost]
    assert 0 < int(kept.sum()) < 40
