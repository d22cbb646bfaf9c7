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
from bitcliff.assess import AssessSettings, Audit
from bitcliff.errors import InfeasibleBudget, InputError, NumericError
from bitcliff.records import Measured, Record, record_json
from bitcliff.types.subject import Examples
from tests.contract import recompute
from tests.contract.subjects import EFFORT, SETTINGS
from tests.small_networks import DigitsCNN, NotFinite, Pointless, chain

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
    audit = bc.Audit(cnn, DataLoader(data, 4), bits=range(3, 11), scheme="onnx")
    audit.settings = audit.settings.changed(draws=4, rounds=2, exchanges=4, evaluations=8)
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


@pytest.mark.parametrize("stop", [0, 1, 6, 11])
def test_a_run_that_broke_down_goes_on_to_the_same_record(stop: int) -> None:
    def audit() -> Audit:
        return Audit(chain(0, points=4, width=10), [(X, Y)], settings=SETTINGS)

    whole = timeless(audit().assess(command="c"))
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
    assert Audit(chain(0), [X], bits=range(2, 5)).settings.budgets == (4.0,)
    assert Audit(chain(0), [X], bits=[8]).settings.budgets == (8.0,)
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


def test_a_mean_between_far_widths_says_which_totals_are_feasible() -> None:
    settings = EFFORT.changed(bits=(4, 8), budgets=(5.0,))
    audit = Audit(chain(0), [X], settings=settings)
    with pytest.raises(InfeasibleBudget, match=r"feasible totals are 20, 24, 28, 32, 36, 40"):
        audit.check()
    assert len(audit.assess(budgets=[4.8]).policies) > 5


ONE_OUTPUT = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)).eval()
NO_LOGITS = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Unflatten(1, (2, 2))).eval()
BAD: list[tuple[str, Any, Any, dict[str, Any], str]] = [
    ("training mode", chain(0).train(), [X], {}, "training mode"),
    ("one example", chain(0), [X[:1]], {}, "two examples or more"),
    ("no point", Pointless().eval(), [X.repeat(1, 3)], {}, "no quantization point"),
    ("all left out", chain(0), [X], {"exclude": ("*",)}, "left out"),
    ("no labels", chain(0), [X], {"margin": "label"}, "--margin label needs labels"),
    ("label too high", chain(0), [(X, Y + 1)], {}, r"in 1..3, but the model has 3 classes"),
    ("label below zero", chain(0), [(X, Y - 1)], {}, r"they must lie in 0..2"),
    ("one output", ONE_OUTPUT, [X], {}, "two classes or more"),
    ("no logits", NO_LOGITS, [X], {}, "class scores"),
    ("wrong shape", chain(0), [X[:, :3]], {}, "."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "data", "changes", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_what_will_not_do_is_refused(model: Any, data: Any, changes: Any, words: str) -> None:
    with pytest.raises((InputError, RuntimeError), match=words) as caught:
        Audit(model, data, settings=SETTINGS.changed(**changes)).check()
    assert isinstance(caught.value, InputError) or words == "."


def test_a_network_that_fails_in_float_is_refused() -> None:
    x = torch.rand(4, 1, 8, 8)
    with pytest.raises(NumericError, match="NotFinite gives NaN or infinity in float already"):
        Audit(NotFinite().eval(), [x], settings=SETTINGS).check()


def test_check_tells_networks_apart_by_what_they_compute() -> None:
    class Twice(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.net, self.factor = chain(0), factor

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * self.net(x)  # type: ignore[no-any-return]

    one, same, other = (Audit(Twice(f).eval(), [X], settings=SETTINGS) for f in (1, 1, 2))
    assert one.subject.weights_sha256 == other.subject.weights_sha256
    assert one.check() == same.check() != other.check()


def test_batches_are_small_for_large_networks() -> None:
    assert Audit(chain(0), [X])._batch_size() == 12
    many = torch.randn(400, 4)
    assert Audit(chain(0), [many])._batch_size() == 256
    big = Audit(DigitsCNN().eval(), [torch.rand(64, 1, 8, 8)])
    plan = replace(big.plan, seen=tuple(replace(p, shape=(10**6,)) for p in big.plan.seen))
    big.plan = plan
    assert big._batch_size() == 32_000_000 // (4 * 10**6)


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


def test_the_label_is_pushed_away_from_where_there_are_labels() -> None:
    model = chain(0, points=4, width=10)
    assert Audit(model, [(X, Y)]).settings.margin == "label"
    assert Audit(model, [X]).settings.margin == "prediction"


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


def test_means_that_spend_the_same_bits_are_refused() -> None:
    audit = Audit(chain(0, points=4), [X], settings=SETTINGS.changed(budgets=(2.5, 2.51)))
    with pytest.raises(InputError, match=r"--budget 2.5 and 2.51 are the same 10 bits"):
        audit.assess()
