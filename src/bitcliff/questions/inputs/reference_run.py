"""Comparing with another network on the same data: the paper's transitory points of a pair."""

import numpy as np

from bitcliff.errors import InputError
from bitcliff.questions.inputs.record import ReferenceRun
from bitcliff.record import Record


def reference_run(record: Record, reference: Record) -> ReferenceRun:
    """What the reference predicts in float for the examples that the two runs share.

    Raises:
        InputError: a run without labels, no example in common, or other labels.
    """
    mine, theirs = record.table, reference.table
    if mine.labels is None or theirs.labels is None:
        raise InputError("--against: both runs need labels, to know what is right")
    place_of = {name: place for place, name in enumerate(theirs.ids)}
    places = [place for place, name in enumerate(mine.ids) if name in place_of]
    there = [place_of[mine.ids[place]] for place in places]
    if not places:
        raise InputError(
            f"--against: its examples ({reference.subject.data}) are others than those of this "
            f"run ({record.subject.data}); give a run on the same data"
        )
    for place in np.array(places)[mine.labels[places] != theirs.labels[there]]:
        raise InputError(
            f"--against: it labels {mine.ids[place]!r} otherwise than this run; "
            "give a run on the same data"
        )
    return ReferenceRun(
        model=reference.subject.model,
        weights_sha256=reference.provenance.weights_sha256,
        places=np.array(places, dtype=np.int32),
        prediction=theirs.prediction[there],
    )
