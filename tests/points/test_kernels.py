import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bitcliff.points import discover


class Grouped(nn.Module):
    """Eight heads of queries, two of keys and values, as language models have them."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(32, 64), nn.Linear(32, 16), nn.Linear(32, 24)

    def forward(self, x: Tensor) -> Tensor:
        q = self.q(x).unflatten(-1, (8, 8)).transpose(1, 2)
        k = self.k(x).unflatten(-1, (2, 8)).transpose(1, 2)
        v = self.v(x).unflatten(-1, (2, 12)).transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return out.flatten(1)


def test_attention_with_grouped_queries_is_counted_as_each_query_heads() -> None:
    plan = discover(Grouped().eval(), torch.randn(3, 5, 32))
    assert {point.site: point.macs for point in plan.seen}["attention"] == 8 * 5 * 5 * (8 + 12)
