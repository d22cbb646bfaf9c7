"""Measuring the inputs, to see which of them a policy puts at risk and what those share."""

from bitcliff.questions.context import Context
from bitcliff.questions.input_features import features_of
from bitcliff.questions.inputs.record import InputsObserved
from bitcliff.questions.inputs.reference_run import reference_run
from bitcliff.questions.inputs.statistics import resampled, worst


def observe_inputs(context: Context) -> InputsObserved:
    """What there is to know of every input, to tell those at risk under a policy from the others.

    Raises:
        InputError: the record of `context.reference` is of other data.
    """
    record, names = context.record, context.everyone
    reference = None if context.reference is None else reference_run(record, context.reference)
    context.tell("features of the inputs", 0, 1 + len(names))
    features, not_measured = features_of(context)
    by_shuffling = {}
    for number, policy in enumerate(names):
        context.tell(policy, 1 + number, 1 + len(names))
        by_shuffling[policy] = resampled(record, features, policy)
    return InputsObserved(
        margin_scale=context.test.prepared.usual_margin,
        features=features,
        not_measured=not_measured,
        reference=reference,
        images=_images(context, {one for name in names for one in worst(record, name)}),
        resampled=by_shuffling,
    )


def _images(context: Context, shown: set[str]) -> dict[str, str]:
    """Of the examples shown, where there are images and the record itself keeps none."""
    images, table = context.test.examples.thumbnails, context.record.table
    if images is None:
        return {}
    missing = shown - table.thumbnails.keys()
    return {name: images[place] for place, name in enumerate(table.ids) if name in missing}
