import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmarks.growth import growths, slope
from benchmarks.harness import Row, Timed, check, run, seconds
from benchmarks.rows import rows

from bitcliff.quant import fake_quantize

KNOWN = Timed("a", "copy", 1.3, low=1.0, median=1.1, high=1.2, rounds=15, milliseconds=2.0)


def adding(times: int) -> None:
    x = torch.zeros(100_000)
    for _ in range(times):
        x += 1


def test_a_ratio_is_how_many_times_the_work_is_done(tmp_path: Path) -> None:
    row = Row("thrice", "once", 2.0, lambda: (lambda: adding(300), lambda: adding(100)))
    [found] = run([row], tmp_path / "table.json")
    assert 2 < found.median < 4.5
    assert found.low <= found.median <= found.high
    assert "!" in found.line
    kept = json.loads((tmp_path / "table.json").read_text())
    assert kept["rows"][0]["median"] == found.median
    assert kept["machine"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (KNOWN, 0),
        (replace(KNOWN, low=1.25, median=1.4, high=1.5), 0),  # within a tenth of the noise
        (replace(KNOWN, low=1.35, median=1.4, high=1.5), 1),
        (replace(KNOWN, name="new", low=9.0), 0),
    ],
)
def test_what_got_slower_by_more_than_its_noise_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], now: Timed, code: int
) -> None:
    file = tmp_path / "table.json"
    run([], file)
    table = json.loads(file.read_text()) | {"rows": [KNOWN.__dict__]}
    file.write_text(json.dumps(table))
    assert check([now], file) == code
    assert ("slower: a: 1.40" in capsys.readouterr().err) == bool(code)


def test_every_row_has_a_name_of_its_own_and_the_first_of_each_kind_can_be_run() -> None:
    everything = list(rows())
    assert len({row.name for row in everything}) == len(everything)
    for start in ("round (8, 128, 768), plain", "budget of 64"):
        row = next(row for row in everything if row.name.startswith(start))
        work, unit = row.make()
        assert seconds(work) > 0
        assert seconds(unit) > 0


def test_others_round_as_the_formula_that_is_timed() -> None:
    """A peer that does something else would be no peer."""
    from benchmarks.rows import _by_torch, _plainly

    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    bits = torch.full((4,), 8)
    assert torch.equal(_by_torch(x), fake_quantize(x, bits, "onnx"))
    assert torch.equal(_plainly(x), fake_quantize(x, bits, "paper"))


def test_a_slope_is_the_power(tmp_path: Path) -> None:
    assert slope([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]) == pytest.approx(2.0)
    for _, sizes, sized in growths():
        assert seconds(sized(sizes[0])) > 0
