"""Looking for a group of examples, described by one or two conditions, that is hit most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

# Standard errors that a second condition must add: many more pairs than single ones are tried.
_OF_A_PAIR = 1.0
_FEWEST = 5


@dataclass(frozen=True)
class Group:
    """The conditions that describe it, by number, and by how many standard errors more are hit in
    it than elsewhere."""

    conditions: tuple[int, ...]
    errors: float


def worst_group(
    holds: Mask, about: Sequence[str], hit: Mask, costs: Sequence[float], share: float = 0.05
) -> Group | None:
    """The group in which hits are most in excess, by the score of a two by two table.

    Whoever found it so knows nothing yet: it is the largest of many excesses. Other examples must
    tell (`fisher_greater`).

    Args:
        holds: (c, n) whether a condition holds of an example. about: (c,) what each is about; two
            about the same do not go together. hit: (n,). costs: (c,) standard errors that a
            condition must be ahead by, since it tells people little. share: of the examples that a
            group, and what is outside it, must hold at least (and five).

    Returns:
        None where no group is large enough, or more is hit in none than elsewhere.
    """
    n, total = len(hit), int(hit.sum())
    least = max(_FEWEST, int(np.ceil(share * n)))
    if not len(holds) or not 0 < total < n or n < 2 * least:
        return None
    members = holds.astype(np.float64)
    sizes, hits = members @ members.T, (members * hit) @ members.T
    large = (sizes >= least) & (n - sizes >= least)
    # Of a draw without replacement; nowhere zero where a group is large enough.
    spread = np.sqrt(np.maximum(sizes * total * (n - total) * (n - sizes), 1.0) / (n - 1)) / n
    errors = np.where(large, (hits - sizes * total / n) / spread, -np.inf)
    price, names = np.array(costs, dtype=np.float64), np.array(about)
    alone = np.eye(len(price), dtype=bool)
    worth = errors - np.where(alone, 0.0, _OF_A_PAIR + price[:, None]) - price[None, :]
    worth[(names[:, None] == names[None, :]) & ~alone] = -np.inf
    first, second = (int(i) for i in np.unravel_index(worth.argmax(), worth.shape))
    found = Group(tuple(dict.fromkeys((first, second))), float(errors[first, second]))
    return found if found.errors > 0 else None
