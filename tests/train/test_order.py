import torch

from bitcliff.train.order import batch_indices, epoch_order, seed_of, steps_in_epoch


def test_an_epoch_visits_every_example_once() -> None:
    assert sorted(epoch_order(37, seed=0, epoch=3).tolist()) == list(range(37))
    batches = [batch_indices(37, 8, 0, 3, step) for step in range(steps_in_epoch(37, 8))]
    assert [len(batch) for batch in batches] == [8] * 4
    assert torch.equal(torch.cat(batches), epoch_order(37, 0, 3)[:32])


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_order(100, 1, 0)
    torch.manual_seed(5)
    assert torch.equal(epoch_order(100, 1, 0), first)
    assert not torch.equal(epoch_order(100, 1, 1), first)
    assert not torch.equal(epoch_order(100, 2, 0), first)


def test_fewer_examples_than_a_batch_are_one_step() -> None:
    assert steps_in_epoch(5, 8) == 1
    assert sorted(batch_indices(5, 8, 0, 0, 0).tolist()) == list(range(5))


def test_seeds_of_positions_do_not_collide() -> None:
    seeds = {seed_of(seed, "step", step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000
    assert all(0 <= seed < 2**63 for seed in seeds)
