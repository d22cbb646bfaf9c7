"""What is observed of the inputs, beside the outcomes of the record."""

from dataclasses import replace

import pytest
import torch

from bitcliff.questions.input_features import reaching_last_point
from bitcliff.questions.inputs.observe import observe_inputs
from tests.questions.inputs.planted import (
    answered,
    context_of,
    figures_of,
    steady_run,
    with_outcomes,
    with_policy,
    with_rows,
)


def test_images_only_where_the_record_has_none() -> None:
    record, side = steady_run()
    own = {f"p{place:03d}" for place in range(10)}
    record = with_rows(
        with_policy(record, range(20)),
        lambda _, row: replace(row, thumbnail="data:image/png;base64,AA") if row.id in own else row,
    )
    record = answered(record, side)
    shown = set(figures_of(record).policies[0].worst)
    images = observe_inputs(context_of(record, side)).images
    assert shown & own
    assert set(images) == shown - own
    assert all(images[name].endswith(f"0{name[1:]}") for name in images)


def test_only_p_values_by_shuffling_are_kept() -> None:
    record, side = steady_run()
    everyone = with_policy(with_policy(record, range(80), "all"), range(25), "some")
    tied = [replace(row.outcomes["some"]) for row in everyone.examples]
    everyone = with_outcomes(everyone, tied, "again")
    observed = observe_inputs(context_of(everyone, side))
    assert list(observed.resampled) == ["all", "some", "again"]
    assert observed.resampled["all"] == {}
    assert observed.resampled["some"].keys() == {"class"}
    assert observed.resampled["again"] == observed.resampled["some"]


def test_a_few_with_ties_are_shuffled() -> None:
    """Six at risk, and margins that are whole numbers."""
    record, side = steady_run()
    record = with_rows(record, lambda i, row: replace(row, float_margin=float(i % 5)))
    observed = observe_inputs(context_of(with_policy(record, range(6)), side))
    assert observed.resampled["planted"].keys() == {"class", "margin"}


def test_the_progress_is_told() -> None:
    record, side = steady_run(n=12)
    told: list[tuple[str, int, int]] = []
    context = context_of(with_policy(record, range(4)), side)
    observe_inputs(replace(context, tell=lambda *what: told.append(what)))
    assert told == [("features of the inputs", 0, 2), ("planted", 1, 2)]


def test_what_reaches_the_last_point_is_that_of_the_network_itself() -> None:
    _, side = steady_run()
    seen = []
    last = side.prepared.subject.module.get_submodule("layers.2")
    handle = last.register_forward_pre_hook(lambda _module, args: seen.append(args[0].clone()))
    side.evaluator.float_scores(side.everyone)
    handle.remove()
    expected = torch.cat(seen)[: len(side.examples)].double()
    found = reaching_last_point(side)
    assert found is not None
    assert torch.equal(found, expected)


def test_the_scale_is_the_median_size_of_the_float_margins() -> None:
    record, side = steady_run()
    with torch.no_grad():
        first, second = side.prepared.subject.module(side.examples.inputs).topk(2).values.T
    sizes = sorted((first - second).tolist())
    assert observe_inputs(context_of(record, side)).margin_scale == pytest.approx(sizes[39])
