import torch

from bitcliff.audit.search import Best, even_allocation
from bitcliff.audit.search.problem import _shared_cost
from tests.audit.searching import OPTIONS, all_allocations, evaluator_of, problem_of, run_by
from tests.small_networks import Overflowing, chain

X = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def test_groups_that_rest_are_not_evaluated() -> None:
    evaluator = evaluator_of(chain(0), X)
    problem = problem_of(evaluator, OPTIONS, 20)
    bits = torch.full((7, 5), 4)
    whole = problem.objective(bits, torch.arange(7))
    before = evaluator.spent.forward
    part = problem.objective(bits[:2], torch.tensor([5, 1]))
    assert evaluator.spent.forward - before == 2
    assert part.tolist() == whole[[5, 1]].tolist()
    gradients = problem.gradients(bits, torch.arange(7))
    assert torch.equal(problem.gradients(bits[:2], torch.tensor([5, 1])), gradients[[5, 1]])


def test_a_shared_objective_is_the_mean_of_margins_lost_by_a_logit_at_most() -> None:
    evaluator = evaluator_of(chain(0), X)
    problem = problem_of(evaluator, OPTIONS, 20, shared=True)
    bits = torch.tensor([[3, 3, 3, 5, 6]])
    margins = evaluator.margins(torch.arange(7), bits.expand(7, -1))
    cost = problem.objective(bits, torch.tensor([0]))
    assert cost.item() == margins.clamp(min=problem.clear).mean().item()


def test_a_numeric_failure_is_worth_nothing_to_a_shared_search() -> None:
    cost = torch.tensor([0.5, torch.inf, 2.0], dtype=torch.float64)
    assert _shared_cost(cost, -1.0).tolist() == [0.5, 2.0, 2.0]
    assert _shared_cost(torch.full((2,), torch.inf, dtype=torch.float64), -1.0).isinf().all()


def test_a_numeric_failure_is_never_the_worst_found() -> None:
    x = torch.tensor([[0.5, 0.2, 0.1], [5.0, 1.0, 0.0], [0.3, 0.9, 0.4]])
    evaluator = evaluator_of(Overflowing(), x)
    problem = problem_of(evaluator, (3, 4, 5), 8)
    cost = problem.objective(torch.full((3, 2), 4), torch.arange(3))
    assert cost.isinf().tolist() == [False, True, False]
    best = Best(problem, even_allocation(problem, 2))
    assert best.offer(torch.full((3, 2), 4)).tolist() == [True, False, True]


def test_the_even_allocation_is_uniform_where_that_is_feasible() -> None:
    problem = problem_of(evaluator_of(chain(0), X), OPTIONS, 20)
    assert even_allocation(problem, 5).tolist() == [[4] * 5] * 7
    for total in range(15, 31):
        problem = problem_of(run_by(problem), OPTIONS, total)
        bits = even_allocation(problem, 5)[0]
        assert int(bits.sum()) == total
        assert int(bits.max() - bits.min()) <= 1


def test_the_nearest_allocation_is_the_nearest_of_all() -> None:
    problem = problem_of(evaluator_of(chain(0), X), (2, 4, 5, 8), 23)
    everything = all_allocations(5, (2, 4, 5, 8), 23).double()
    wanted = 2 + 6 * torch.rand(7, 5, generator=torch.Generator().manual_seed(1)).double()
    distance = (everything[None] - wanted[:, None]).square().sum(2)
    found = (problem.nearest(wanted) - wanted).square().sum(1)
    torch.testing.assert_close(found, distance.amin(1))


def test_best_keeps_the_better_and_remembers_what_was_tried() -> None:
    evaluator = evaluator_of(chain(0), X)
    problem = problem_of(evaluator, OPTIONS, 20)
    best = Best(problem, even_allocation(problem, 5))
    one, two = torch.tensor([3, 3, 4, 4, 6]), torch.tensor([6, 4, 4, 3, 3])
    first = problem.objective(one.expand(7, -1), torch.arange(7))
    second = problem.objective(two.expand(7, -1), torch.arange(7))
    assert best.offer(one.expand(7, -1)).all()
    assert best.offer(two.expand(7, -1)).tolist() == (second < first).tolist()
    assert torch.equal(best.cost, torch.minimum(first, second))
    assert not best.is_new(0, one.tolist())
    assert best.is_new(0, [4, 4, 4, 4, 4])
