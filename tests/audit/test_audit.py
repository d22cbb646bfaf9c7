import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import bitcliff as bc
from bitcliff.audit import AssessSettings, Audit
from bitcliff.audit.from_python import own_examples
from bitcliff.errors import InputError
from bitcliff.record import Measured, Record, record_json
from bitcliff.types.streamed import Streamed
from bitcliff.types.subject import Examples
from tests.contract import recompute
from tests.contract.subjects import EFFORT, SETTINGS
from tests.small_networks import chain

X = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 3


class Kept:
    """A store in memory that may break down."""

    started = "2026-01-01T00:00:00+00:00"

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.measured: dict[str, Measured] = {}
        self.breaks_after = breaks_after
        self.asked: list[str] = []

    def get(self, name: str) -> Measured | None:
        self.asked.append(name)
        return self.measured.get(name)

    def put(self, measured: Measured) -> None:
        if len(self.measured) == self.breaks_after:
            raise KeyboardInterrupt
        self.measured[measured.name] = measured


def timeless(record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(record_json(record))
    times = [fields["provenance"][field] for field in ("started", "finished")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", time) for time in times)
    return recompute.timeless(fields)


def test_the_call_of_the_readme(cnn: nn.Module, digits: tuple[Tensor, Tensor]) -> None:
    data = TensorDataset(digits[0][1400:1410], digits[1][1400:1410])
    asked = AssessSettings(draws=4, rounds=2, exchanges=4, evaluations=8)
    batches = DataLoader(data, 4)
    audit = bc.Audit(cnn, batches, bits=range(3, 11), scheme="onnx", settings=asked)
    record = audit.assess(budgets=[4, 5.5, 7])
    assert [p.name for p in record.policies if p.kind == "worst-static"] == [
        "worst-static-4",
        "worst-static-5.5",
        "worst-static-7",
    ]
    assert record.settings.bits == tuple(range(3, 11))
    assert record.float_.accuracy is not None
    with torch.no_grad():
        assert record.float_.accuracy.k == int(
            (cnn(digits[0][1400:1410]).argmax(1) == digits[1][1400:1410]).sum()
        )


def test_the_same_seed_gives_the_same_record_and_another_another() -> None:
    def assess(seed: int) -> dict[str, Any]:
        settings = SETTINGS.changed(seed=seed)
        model = chain(0, points=4, width=10)
        return timeless(Audit(model, [(X, Y)], settings=settings).assess(command="c"))

    first = assess(3)
    assert assess(3) == first
    other = assess(4)
    assert other["figures"]["policies"] != first["figures"]["policies"]
    assert other["figures"]["float"] == first["figures"]["float"]


def test_the_model_is_left_as_it_was() -> None:
    model = chain(0, points=4)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [p.requires_grad for p in model.parameters()]
    before, torch_state = model(X), torch.random.get_rng_state()
    Audit(model, [(X, Y)], settings=SETTINGS).assess()
    assert torch.equal(model(X), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == grads
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), torch_state)


def test_order_and_batch_mates_do_not_matter(mlp: nn.Module, held_out: Examples) -> None:
    """Policies that do not search or draw: each example's margins are the same to the bit."""
    settings = EFFORT.changed(bits=(2, 3, 4), budgets=(3.0,), uniform=(2, 3, 4), batch_size=16)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert isinstance(held_out.inputs, Tensor)
    assert held_out.labels is not None
    shuffled = replace(
        held_out,
        inputs=held_out.inputs[order],
        labels=held_out.labels[order],
        ids=tuple(held_out.ids[place] for place in order.tolist()),
        thumbnails=None,
    )
    records = [Audit(mlp, data, settings=settings).assess() for data in (held_out, shuffled)]
    names = ["weights-only", "uniform-2", "uniform-3", "uniform-4"]
    rows = [{row.id: row for row in record.examples} for record in records]
    for row_id, row in rows[0].items():
        other = rows[1][row_id]
        assert row.float_margin == other.float_margin
        assert [row.outcomes[n] for n in names] == [other.outcomes[n] for n in names]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """Of a run that did not break down."""
    return timeless(audit().assess(command="c"))


def audit() -> Audit:
    return Audit(chain(0, points=4, width=10), [(X, Y)], settings=SETTINGS)


@pytest.mark.parametrize("stop", [0, 1, 6, 11])
def test_a_run_that_broke_down_goes_on_to_the_same_record(stop: int, whole: dict[str, Any]) -> None:
    store = Kept(breaks_after=stop)
    with pytest.raises(KeyboardInterrupt):
        audit().assess(store=store, command="c")
    assert len(store.measured) == stop
    store.breaks_after = 10**9
    resumed = audit().assess(store=store, command="c")
    assert timeless(resumed) == whole


def test_strays_of_an_interrupted_run_are_not_forgotten() -> None:
    store = Kept()
    Audit(chain(0, points=4), [(X, Y)], settings=SETTINGS).assess(store=store)
    stray = store.measured["worst-4"].model_copy(update={"strays": ["rare.branch"]})
    store.measured["worst-4"] = stray
    record = Audit(chain(0, points=4), [(X, Y)], settings=SETTINGS).assess(store=store)
    assert [u.name for u in record.subject.uncovered] == ["rare.branch"]


def test_progress_rises_to_the_end_and_names_every_policy() -> None:
    heard: list[tuple[str, int, int]] = []
    record = Audit(chain(0, points=4), [(X, Y)], settings=SETTINGS).assess(
        progress=lambda *what: heard.append(what)
    )
    done = [step[1] for step in heard]
    assert done == sorted(done)
    assert heard[-1][0] == "done"
    assert heard[-1][1] == heard[-1][2]
    assert len({whole for _, _, whole in heard}) == 1
    assert list(dict.fromkeys(name for name, _, _ in heard[:-1])) == [
        p.name for p in record.policies
    ]


def test_narrow_widths_bring_means_that_they_can_meet() -> None:
    assert Audit(chain(0), [X], bits=range(2, 5)).prepared.settings.budgets == (4.0,)
    assert Audit(chain(0), [X], bits=[8]).prepared.settings.budgets == (8.0,)
    with pytest.raises(InputError, match=r"--budget 5.5 cannot be met with bits 2..4"):
        Audit(chain(0), [X], bits=range(2, 5), settings=AssessSettings())


@pytest.mark.parametrize(
    ("budgets", "error", "words"),
    [
        ([2.9], InputError, "feasible means are 3 to 10"),
        ([], InputError, "--budget"),
        ([4.5, 4.5], InputError, "twice"),
    ],
)
def test_budgets_are_checked_before_any_work(budgets: list[float], error: type, words: str) -> None:
    calls: list[int] = []
    model = chain(0)
    audit = Audit(model, [X], bits=range(3, 11))
    model.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(error, match=words):
        audit.assess(budgets=budgets)
    assert not calls


def test_a_hugging_face_encoder_with_named_tensors() -> None:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=16,
        num_labels=3,  # type: ignore[call-arg]
    )
    model = BertForSequenceClassification(config).eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        model.classifier.weight.mul_(30)
    tokens = torch.randint(5, 50, (12, 8))
    mask = (torch.arange(8) < torch.randint(3, 9, (12, 1))).long()

    class Rows(torch.utils.data.Dataset[Mapping[str, Tensor]]):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, place: int) -> Mapping[str, Tensor]:
            return {
                "input_ids": tokens[place],
                "attention_mask": mask[place],
                "labels": torch.tensor(place % 3),
            }

    record = Audit(model, DataLoader(Rows(), 5), settings=SETTINGS).assess()
    assert record.subject.labelled
    assert record.coverage.complete
    kinds = {point.kind for point in record.subject.points}
    assert {"linear", "attention"} <= kinds
    with torch.no_grad():
        wanted = model(input_ids=tokens, attention_mask=mask).logits.argmax(1).tolist()
    assert [row.float_prediction for row in record.examples] == wanted
    assert max(p.flips.all.k for p in record.policies) > 0


def test_an_adversary_gives_no_right_answers_back() -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 4)
    model = chain(0, points=4, width=10)
    wrong = torch.arange(40) % 2 == 0
    right = model(x).argmax(1)
    y = torch.where(wrong, (right + 1) % 3, right)
    settings = SETTINGS.changed(budgets=(2.5,))
    record = Audit(model, [(x, y)], settings=settings).assess()
    worst = record.by_name["worst-2.5"]
    assert worst.flips.gained is not None
    assert worst.flips.lost is not None
    assert worst.flips.lost.k > 0
    pushed = settings.changed(margin="prediction")
    other = Audit(model, [(x, y)], settings=pushed).assess().by_name["worst-2.5"]
    assert other.flips.gained is not None
    assert worst.flips.gained.k < other.flips.gained.k
    assert worst.change is not None
    assert other.change is not None
    assert (worst.change.difference_pp or 0.0) < (other.change.difference_pp or 0.0)


def test_examples_that_are_not_held_come_to_the_same(
    cnn: nn.Module, digits: tuple[Tensor, Tensor]
) -> None:
    # Laid out alike in memory, as data from files is, or kernels would differ.
    x, y = torch.empty(16, 1, 8, 8).copy_(digits[0][1400:1416]), digits[1][1400:1416]
    shape = (1, 8, 8)
    held = own_examples([(x, y)])
    streamed = replace(held, inputs=Streamed(lambda place: x[place], torch.arange(16), shape))
    asked = SETTINGS.changed(batch_size=7, budgets=(2.5,))
    records = [Audit(cnn, examples, settings=asked).assess() for examples in (held, streamed)]
    for name, found in records[0].outcomes.items():
        # Repeats are nudged by another noise.
        alike = [found, records[1].outcomes[name]]
        one, other = (each.model_copy(update={"repeats": None}).model_dump_json() for each in alike)
        assert one == other
    kinds = {policy.kind for policy in records[0].policies}
    assert {"uniform", "random", "worst", "worst-static", "worst-evolutionary"} <= kinds
