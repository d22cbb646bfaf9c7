"""Neighbours, held against scikit-learn's; pairs, against NumPy."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn

from bitcliff.errors import InputError
from bitcliff.points.find_task import find_task, judge_by
from bitcliff.points.forward import logits_of
from bitcliff.tasks import task_of
from bitcliff.tasks.against_float import AgainstFloat
from bitcliff.tasks.choice import read_task
from bitcliff.tasks.neighbours import Nearest, Verification

N = 80


def digits() -> tuple[Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.from_numpy(x[:N]).float(), torch.from_numpy(y[:N])


def changed(x: Tensor) -> Tensor:
    return x + 3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))


class Scaled(nn.Module):
    """A network whose vectors are its inputs, and which others stand in for."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def nearest_others(gallery: Tensor, asked: Tensor) -> np.ndarray:
    """(n, gallery - 1) places by nearness, without the example's own."""
    found = NearestNeighbors(n_neighbors=len(gallery), metric="cosine").fit(gallery.numpy())
    order = found.kneighbors(asked.numpy(), return_distance=False)
    return np.stack([row[row != place] for place, row in enumerate(order)])


def judged(x: Tensor, y: Tensor | None = None) -> tuple[nn.Module, AgainstFloat]:
    module = Scaled()
    judge_by(module, "embedding")
    task = task_of(module)
    assert isinstance(task, AgainstFloat)
    if y is not None:
        task.tell(x, y)
    find_task(module, x)
    return module, task


def test_the_neighbour_of_float_must_stay_the_nearest() -> None:
    x, _ = digits()
    _, task = judged(x)
    assert not task.labelled
    scores = task.scores(changed(x), x)
    before, after = nearest_others(x, x)[:, 0], nearest_others(x, changed(x))[:, 0]
    assert 0.2 < (before == after).mean() < 0.9
    assert (scores.argmax(1) == 0).tolist() == (before == after).tolist()
    unit = [np.asarray(one / one.norm(dim=1, keepdim=True)) for one in (x, changed(x))]
    cosines = unit[1] @ unit[0].T
    np.fill_diagonal(cosines, -np.inf)
    top = np.sort(cosines, 1)
    kept = before == after
    np.testing.assert_allclose(scores[:, 0][kept], (top[:, -1] - top[:, -2])[kept], atol=1e-6)
    np.testing.assert_allclose(task.shares, (unit[0] * unit[1]).sum(1), atol=1e-6)


def test_the_nearest_must_be_of_the_labelled_class() -> None:
    x, y = digits()
    module, task = judged(x, y)
    assert task.labelled
    assert "of the labelled class" in task.words
    for one in (x, changed(x)):
        right = y[torch.from_numpy(nearest_others(x, one)[:, 0])] == y
        assert (task.scores(one, x).argmax(1) == 0).tolist() == right.tolist()
    assert 0.3 < float(right.float().mean()) < 1
    nudged = x + 1e-6
    task.same(nudged, x)  # its own example is no neighbour of what was made of it
    assert logits_of(module, nudged)[:, 0].tolist() == pytest.approx(
        logits_of(module, x)[:, 0].tolist(), abs=1e-5
    )


def test_copies_of_an_example_are_no_neighbours_of_it() -> None:
    x, _ = digits()
    twice = torch.cat([x[:5], x])
    _, task = judged(twice)
    _, once = judged(x)
    assert torch.equal(task.scores(changed(x), x), once.scores(changed(x), x))


def test_a_gallery_of_its_own() -> None:
    x, y = digits()
    task = Nearest()
    task.fill(x[:60], y[:60])
    found = NearestNeighbors(n_neighbors=1, metric="cosine").fit(x[:60].numpy())
    (near,) = found.kneighbors(changed(x)[60:].numpy(), return_distance=False).T
    right = (y[torch.from_numpy(near)] == y[60:]).tolist()
    wanted = torch.cat(
        [task.told(one[None], label) for one, label in zip(x[60:], y[60:], strict=True)]
    )
    assert (task.lead(changed(x)[60:], x[60:], wanted) >= 0).tolist() == right


@pytest.mark.parametrize(
    ("n", "classes", "said"),
    [
        (1, None, "a gallery of 0 other examples"),
        (2, None, "a gallery of one other example leaves"),
        (5, [0, 0, 0, 0, 0], "a gallery of 4 other examples, all of one class,"),
        (5, [0, 0, 0, 0, 1], "class 1 has no other example in the gallery"),
    ],
)
def test_nothing_to_decide(n: int, classes: list[int] | None, said: str) -> None:
    x, _ = digits()
    with pytest.raises(InputError, match=said):
        logits_of(judged(x[:n], None if classes is None else torch.tensor(classes))[0], x[:n])


def test_pairs_are_the_same_or_not_at_a_cosine() -> None:
    x, y = digits()
    others = x.roll(1, 0)
    same = (y == y.roll(1, 0)).double()
    same[::2], others[::2] = 1, x[::2] + 1
    module = Scaled()
    judge_by(module, "verification:0.95")
    task = task_of(module)
    assert isinstance(task, AgainstFloat)
    with pytest.raises(InputError, match="needs pairs"):
        find_task(module, x)
    task.tell(x, torch.cat([others.double(), same[:, None]], 1))
    find_task(module, x)
    near = [
        float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in zip(changed(x).numpy(), others.numpy(), strict=True)
    ]
    right = (np.array(near) >= 0.95) == same.numpy().astype(bool)
    assert 0.3 < right.mean() < 1
    scores = task.scores(changed(x), x)
    assert (scores.argmax(1) == 0).tolist() == right.tolist()
    task.forget()
    assert torch.equal(task.scores(changed(x), x), scores), "labels are as they were told"
    np.testing.assert_allclose(scores[:, 0].abs().numpy(), np.abs(np.array(near) - 0.95), atol=1e-6)


def test_a_cosine_that_all_pairs_lie_on_one_side_of() -> None:
    x, _ = digits()
    task = Verification(0.9999)
    targets = torch.cat([x.roll(1, 0), torch.ones(N, 1)], 1)
    with pytest.raises(InputError, match="of all 80 pairs lie on one side of it, from"):
        task.check(x, targets)


def test_names() -> None:
    task = read_task("embedding:gallery=a/b.npz")
    assert isinstance(task, Nearest)
    assert str(task.file) == "a/b.npz"
    for wrong in ("embedding:gallery=", "embedding:x", "verification", "verification:2"):
        with pytest.raises(InputError, match="needs a cosine"):
            read_task(wrong)
