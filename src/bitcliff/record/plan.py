"""plan.yaml: what to change so that a network keeps its answers, as `explain` found it."""

from pydantic import Field

from bitcliff.types.value import Value

_HEAD = "# Written by `bitcliff explain`; `bitcliff assess MODEL --plan plan.yaml` honours it.\n"


class QuantizationPlan(Value, strict=True):
    """How a network is to be quantized.

    Attributes:
        model: what it was made for, as in `bitcliff assess`.
        weights_sha256: of that model's weights; None: for any.
        float_points: names of the points whose values stay in float.
        floors: by a point's name, the bits that every allocation must spend there at least.
        scheme: "paper", "onnx" or "percentile(p)"; None: as the command says.
        randomised: the runtime draws each input's bits at random, so that nobody picks them.
        budget: mean bits a quantized point for which the plan was checked.
    """

    model: str
    weights_sha256: str | None = None
    float_points: list[str] = Field(default_factory=list)
    floors: dict[str, int] = Field(default_factory=dict)
    scheme: str | None = None
    randomised: bool = False
    budget: list[float] = Field(default_factory=list)

    def text(self) -> str:
        """The file's text; what is not set is left out."""
        import yaml  # here alone: whoever reads a record writes no plan

        fields = self.model_dump(exclude_defaults=True)
        return _HEAD + yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
