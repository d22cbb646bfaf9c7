"""`make bench` and `make bench-check`: the table of what Bitcliff does all day, in ratios."""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.harness import check, run
from benchmarks.rows import rows
from bitcliff.cli.memory import keep_memory

TABLE = Path(__file__).parent / "table.json"


def main() -> int:
    """In one thread: ratios of single-threaded loops to copies in several would mean little."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name has this")
    parser.add_argument("--out", type=Path, help="keep the table there")
    parser.add_argument("--check", action="store_true", help="against the committed table")
    asked = parser.parse_args()
    if asked.check and not TABLE.exists():
        parser.error(f"{TABLE}: there is no table to compare with; `make bench` makes one")
    torch.set_num_threads(1)
    keep_memory()
    torch.manual_seed(0)
    found = run((row for row in rows() if asked.only in row.name), asked.out)
    return check(found, TABLE) if asked.check else 0


if __name__ == "__main__":
    sys.exit(main())
