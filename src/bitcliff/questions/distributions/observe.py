"""What is measured of inputs, and of a second set of them."""

from dataclasses import replace

import numpy as np
from scipy.cluster import vq

from bitcliff.questions.context import Context, Side
from bitcliff.questions.distributions.record import Described, DistributionsObserved, SecondSet
from bitcliff.questions.input_features import features_of, reaching_last_point
from bitcliff.record.arrays import Array

# With fewer examples in a cluster on average, most hold too few to test.
_IN_A_CLUSTER = 20
_MOST_CLUSTERS = 8
_STARTS = 5


def observe_distributions(context: Context) -> DistributionsObserved:
    """Features of the run's inputs, and with a second set the networks' answers there.

    Without one the network is run in float alone.
    """
    half = context.halves.half
    context.tell("features of the inputs", 0, 2)
    reached = _reached(context.test)
    centres = None if reached is None else _centres(reached[half], context)
    # Of the examples themselves: what training examples are loaded hangs on what else is asked.
    own = _described(replace(context, train=None), reached, centres)
    return DistributionsObserved(
        policies=list(context.everyone),
        half=half,
        clusters=_words(context, centres),
        described=own,
        second=None if context.second is None else _second(context, centres),
    )


def _second(context: Context, centres: Array | None) -> SecondSet:
    assert context.second is not None  # noqa: S101  (asked for with one alone)
    context.tell("the second set", 1, 2)
    side, table, outcomes = context.second.measured()
    there = replace(context, test=side, train=context.test)
    examples = context.second.examples
    return SecondSet(
        data=examples.name,
        sha256=examples.sha256,
        table=table.model_copy(update={"thumbnails": {}, "texts": {}, "waves": {}, "pictures": ""}),
        outcomes=outcomes,
        described=_described(there, _reached(side), centres),
    )


def _described(context: Context, reached: Array | None, centres: Array | None) -> Described:
    features, not_measured = features_of(context)
    return Described(
        features=features,
        not_measured=not_measured,
        cluster=None if reached is None or centres is None else _nearest(reached, centres),
    )


def _reached(side: Side) -> Array | None:
    found = reaching_last_point(side)
    return None if found is None else found.numpy()


def _centres(reached: Array, context: Context) -> Array | None:
    """(k, width) of clusters of the first half; None with too few examples."""
    whole = reached[np.isfinite(reached).all(1)]
    count = min(_MOST_CLUSTERS, len(whole) // _IN_A_CLUSTER)
    if count < 2:
        return None
    # Several starts, of which the tightest is kept; clusters that come out empty are left out.
    seed = context.record.provenance.seed
    centres, _ = vq.kmeans(whole, count, iter=_STARTS, rng=np.random.default_rng(seed))
    return np.asarray(centres)


def _nearest(reached: Array, centres: Array) -> Array:
    """(n,) the cluster of each; -1 where a value is not finite."""
    whole = np.isfinite(reached).all(1)
    found = np.full(len(reached), -1, dtype=np.int32)
    if reached.shape[1] == centres.shape[1]:
        found[whole] = vq.vq(reached[whole], centres)[0]
    return found


def _words(context: Context, centres: Array | None) -> str:
    if centres is None:
        return ""
    name = context.test.prepared.points.points[-1].name
    return f"{len(centres)} clusters (k-means) of what reaches {name} in float, on the first half"
