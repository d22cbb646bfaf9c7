"""Types that others' checkers see."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT


@pytest.mark.slow
def test_nearly_all_public_types_are_known() -> None:
    programs = Path(sys.executable).parent  # pyright looks for packages beside the first python
    verified = subprocess.run(
        ["pyright", "--ignoreexternal", "--outputjson", "--verifytypes", "bitcliff"],
        env={
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    completeness = json.loads(verified.stdout)["typeCompleteness"]
    assert completeness["exportedSymbolCounts"]["withKnownType"] > 3000
    assert completeness["completenessScore"] >= 0.95
