"""Digits on which a real network fails where they are faint, and an answered run of them."""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from bitcliff.adapters import load_examples, load_model
from bitcliff.audit import AssessSettings, Audit
from bitcliff.audit.from_python import own_subject
from bitcliff.questions.context import Context, Side
from bitcliff.record import Explained, Record, record_of
from bitcliff.types.numerics import Numerics
from bitcliff.types.presets import Format
from bitcliff.types.subject import Examples

FAINT = 0.27
"""Mean grey value below which every rounding of eight bits fails; a quarter of the digits."""

POLICY = "eight"
EIGHT = Format(
    activations=Numerics(element="uint8", group="example", scale="minmax-zero"),
    weights=Numerics(element="int8", group="batch", scale="amax", divisor=127.0),
    everywhere=True,
)
SETTINGS = AssessSettings(budgets=(), numerics=(POLICY,), formats={POLICY: EIGHT}, batch_size=128)


class Faint(nn.Module):
    """The shipped network of digits, whose scores pass a layer beside a value that is huge where
    an image is faint, and has no weight: float does not mind, and a grid does. The last layer does
    not see it."""

    def __init__(self, planted: bool = True) -> None:
        super().__init__()
        self.digits, self.planted = load_model("base-digits").module, planted
        self.beside, self.last = nn.Linear(11, 10, bias=False), nn.Linear(10, 10, bias=False)
        with torch.no_grad():
            for layer in (self.beside, self.last):
                layer.weight.copy_(torch.eye(10, layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.digits(x)
        huge = 1e6 * (x.flatten(1).mean(1, keepdim=True) < FAINT).to(scores)
        both = torch.cat([scores, huge * self.planted], 1)
        return self.last(self.beside(both))  # type: ignore[no-any-return]


def digits(n: int = 200, seed: int = 0) -> Examples:
    return load_examples("digits", subject=load_model("base-digits"), limit=n, seed=seed)


@cache
def run(planted: bool = True, labelled: bool = True) -> tuple[Record, Side]:
    """Assessed in eight bits everywhere, and to be explained."""
    examples = digits()
    if not labelled:
        examples = Examples(
            examples.name, examples.inputs, None, examples.ids, 200, examples.sha256
        )
    network = Faint(planted).eval().requires_grad_(False)
    audit = Audit(own_subject(network), examples, settings=SETTINGS)
    record = audit.assess(command="made by the tests")
    explained = Explained(policies=[POLICY], n_train=0)
    record = record_of(record.observed.model_copy(update={"explained": explained}))
    return record, Side("test", audit.prepared, {})


def context(planted: bool = True, labelled: bool = True) -> Context:
    record, side = run(planted, labelled)
    return Context(record, (), side, deployed=(POLICY,))


def faint_places(examples: Examples) -> np.ndarray:
    assert isinstance(examples.inputs, Tensor)
    return np.flatnonzero(examples.inputs.flatten(1).mean(1).numpy() < FAINT)
