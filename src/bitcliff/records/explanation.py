"""What `bitcliff explain` adds to a record: where it breaks, why, which inputs, and what helps."""

from pydantic import Field

from bitcliff.records.explanation_activations import Activations
from bitcliff.records.explanation_corruptions import Corruptions
from bitcliff.records.explanation_indicators import Indicators
from bitcliff.records.explanation_inputs import InputsAtRisk
from bitcliff.records.explanation_layers import Layers
from bitcliff.records.explanation_remedies import Remedies
from bitcliff.records.part import Part
from bitcliff.types.rate import Count


class Explanation(Part):
    """Each field is one question, answered or not asked (None).

    Attributes:
        policies: the names of the policies that are explained, the one that matters most first.
        commands: those that were given, in their order; none where `assess --explain` was.
        n_train: examples of the training split that were used beside those of the record; 0 where
            the data has no such split.
        layers: which of them break it. activations: what rounding does to the values at each point.
        inputs: which are at risk, and what they have in common. corruptions: of the pictures.
        indicators: whether it could have been told without quantizing.
        remedies: what helps, each judged by a worst case that was looked for anew.
    """

    policies: list[str]
    n_train: Count
    commands: list[str] = Field(default_factory=list)
    layers: Layers | None = None
    activations: Activations | None = None
    inputs: InputsAtRisk | None = None
    corruptions: Corruptions | None = None
    indicators: Indicators | None = None
    remedies: Remedies | None = None
