"""Another set without labels: which of its inputs are worth a pass in the format."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from bitcliff.audit.evaluator import Evaluator, Scores
from bitcliff.audit.inputs import laid_out_for_speed
from bitcliff.errors import InputError
from bitcliff.points import take
from bitcliff.policy.guard import score_signals
from bitcliff.questions.provocation.observe import Provoking, in_format, leads_of
from bitcliff.questions.provocation.record import Ranked, Tried
from bitcliff.questions.provocation.rivals import is_flagged
from bitcliff.stats.logistic import logistic
from bitcliff.types.subject import Examples, Inputs
from bitcliff.types.within import Within

# Of the inputs that can be ranked: run in the format, and the fewest; twice as many must be there.
_SHARE, _FEWEST = 0.1, 20
# Failures among the labelled examples for each column that a ranking is fitted to (Peduzzi et al.,
# Journal of Clinical Epidemiology 49, 1996).
_FOR_A_COLUMN = 10


def rank(
    network: Provoking,
    within: Within,
    pool: Examples,
    tell: Callable[[str, int, int], None],
    save: Callable[[int, Inputs], None] = lambda _place, _failing: None,
) -> Ranked:
    """Float runs on all of them; the format on those that rank first, on as many with the least
    lead in float, and on as many drawn at random.

    Args:
        save: given the place of an input that fails, and itself.

    Raises:
        InputError: float decides too few of them by delta.
    """
    tell(f"Within {within.name}, in float", 0, 2)
    plain = network.prepared.evaluator
    evaluator = Evaluator(plain.attachment, laid_out_for_speed(pool.inputs), plain.batch_size)
    in_float = evaluator.float_scores(torch.arange(len(pool)))
    leads = leads_of(in_float, in_float.predictions)
    able = (leads >= network.delta).nonzero()[:, 0]
    count = max(_FEWEST, math.ceil(_SHARE * len(able)))
    if len(able) < 2 * _FEWEST:
        raise InputError(
            f"--within {within.name}: float decides {len(able)} of {len(pool)} inputs by "
            f"{network.delta:.3g} or more, and {2 * _FEWEST} are needed"
        )
    harm, fitted = _expected_harm(network, in_float.logits[able])
    rng = np.random.default_rng((network.settings.seed, *within.name.encode()))
    first = able[harm.argsort(descending=True, stable=True)[:count]].tolist()
    by_lead = able[leads[able].argsort(stable=True)[:count]].tolist()
    at_random = able[torch.from_numpy(rng.permutation(len(able))[:count])].tolist()
    chosen = torch.tensor(sorted({*first, *by_lead, *at_random}))
    tell(f"Within {within.name}, in {network.name}", 1, 2)
    tried = _tried(network, pool, chosen, in_float, leads)
    for place, one in zip(chosen.tolist(), tried, strict=True):
        if one.quantized_lead is not None and one.quantized_lead < 0 and not one.flagged:
            save(place, take(pool.inputs, torch.tensor([place])))
    ids = [[pool.ids[place] for place in places] for places in (first, by_lead, at_random)]
    return Ranked(
        within=within.name,
        data=pool.name,
        sha256=pool.sha256,
        n=len(pool),
        led=len(able),
        fitted=fitted,
        tried=tried,
        first=ids[0],
        by_lead=ids[1],
        at_random=ids[2],
    )


def _expected_harm(
    network: Provoking, logits: Float[Tensor, "m classes"]
) -> tuple[Float64[Tensor, " m"], int]:
    """The higher, the likelier is another decision in the format, fitted to the examples that float
    has right by delta; and how many of those fail. With too few, by float's lead alone."""
    known = (network.in_float >= network.delta) & torch.isfinite(network.quantized)
    fails = (network.quantized < 0)[known]
    failures = int(fails.sum())
    seen = network.prepared.in_float.logits[known]
    for decisions in (True, False):
        columns = _columns(seen, decisions)
        if _FOR_A_COLUMN * columns.shape[1] <= failures < len(fails):
            found = logistic(columns, fails.numpy())
            return torch.from_numpy(found.scores(_columns(logits, decisions))), failures
    return -score_signals(logits)["margin"], 0


def _columns(logits: Float[Tensor, "m classes"], decisions: bool) -> np.ndarray:
    """What float's pass tells: lead and entropy, and perhaps which decision it is."""
    told = [one[:, None].numpy() for one in score_signals(logits).values()]
    if decisions:
        told.append(np.eye(logits.shape[1])[logits.argmax(1).numpy()])
    return np.concatenate(told, axis=1)


def _tried(
    network: Provoking,
    pool: Examples,
    chosen: Int[Tensor, " m"],
    in_float: Scores,
    leads: Float64[Tensor, " n"],
) -> list[Tried]:
    plain, decided = network.prepared.evaluator, in_float.predictions[chosen]
    inputs = laid_out_for_speed(take(pool.inputs, chosen))
    found = in_format(Evaluator(plain.attachment, inputs, plain.batch_size), network.shipped)
    seen = is_flagged(None if network.guard is None else network.guard.guard, found.logits)
    rows = zip(
        chosen.tolist(),
        decided.tolist(),
        leads_of(found, decided).tolist(),
        found.predictions.tolist(),
        seen.tolist(),
        strict=True,
    )
    return [
        Tried(
            id=pool.ids[place],
            decided=wanted,
            float_lead=float(leads[place]),
            quantized_lead=lead if lead == lead else None,
            prediction=prediction if lead == lead else None,
            flagged=flagged,
        )
        for place, wanted, lead, prediction, flagged in rows
    ]
