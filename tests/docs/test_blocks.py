"""Every code block is run, or says why not."""

import contextlib
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from tools.rerun_docs import NOTEBOOK, TUTORIAL, executed, rerun
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import bitcliff as bc
from tests.docs.blocks import ROOT, Block, blocks
from tests.end_to_end.commands import QUICK, bitcliff

RUN = [block for block in blocks() if block.why_not is None]
SHELL = [block for block in RUN if block.language == "sh"]
PYTHON = [block for block in RUN if block.language == "python"]
# Of assessments whose effort is a matter of minutes; figures in pages are not of these runs.
LITTLE = ["--rounds", "1", "--exchanges", "0", "--evaluations", "8", "--draws", "2"]


def test_each_block_is_run_or_says_why_not() -> None:
    for block in blocks():
        if block.why_not is None:
            files = block.language == "yaml" and block.remark.startswith("file: ")
            console = block.language == "console" and block.page == TUTORIAL
            assert files or console or block in [*SHELL, *PYTHON], block
            assert files or block.commands, block
        else:
            # Where another test does what it shows, there is such a test.
            for test in re.findall(r"tests/[\w/]+(?:\.py)?", block.why_not):
                assert (ROOT / test).exists(), test


def test_some_are_run() -> None:
    assert len(SHELL) >= 8
    assert len(PYTHON) >= 3


def test_no_cell_of_the_notebook_is_long() -> None:
    cells = [one["source"] for one in json.loads(NOTEBOOK.read_text())["cells"]]
    written = [text for text in map("".join, cells) if "class ByTheWidth" in text]
    written += [
        text for text in map("".join, cells) if "def climb" in text or "def format_" in text
    ]
    assert len(written) == 3
    for text in written:
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) < 20, text


@pytest.mark.slow
def test_the_tutorial_gives_what_it_shows(tmp_path: Path) -> None:
    page = TUTORIAL.read_text()
    assert rerun(page, tmp_path) == page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_notebook_gives_what_it_shows() -> None:
    assert said(executed(NOTEBOOK)) == said(nbformat.read(NOTEBOOK, as_version=4))


def said(notebook: Any) -> list[str]:
    """What each cell prints, and what it ends in as text; prints come in pieces by chance."""
    return [
        "".join(
            one["text"] if "text" in one else one["data"]["text/plain"]
            for one in cell.get("outputs", [])
        )
        for cell in notebook.cells
    ]


def digits(n: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The sound network that is shipped, images and labels."""
    subject = bc.adapters.load_model("base-digits")
    examples = bc.adapters.load_examples("digits", subject=subject, limit=n)
    assert isinstance(examples.inputs, Tensor)
    assert examples.labels is not None
    return subject.module, examples.inputs, examples.labels


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pages take a reader to have: a network, its data, runs."""
    folder = tmp_path_factory.mktemp("reader")
    network, x, y = digits(320)
    np.savez(folder / "arrays.npz", x=x.numpy(), y=y.numpy())
    np.savez(folder / "unlabelled.npz", x=x[:60].numpy())
    torch.onnx.export(
        network,
        (x[:2],),
        folder / "model.onnx",
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    for block in RUN:
        if block.remark.startswith("file: "):
            (folder / block.remark.removeprefix("file: ")).write_text(block.text)
    out = folder / "runs"
    for name, model in (("candidate", "brittle-digits"), ("v1", "base-digits")):
        asked = [model, "--examples", "60", *QUICK, "--out", str(out / name)]
        assert bitcliff(folder, "assess", *asked).returncode == 0
    for name in ("v2", "formats"):
        shutil.copytree(out / "v1", out / name)
    scored = ["base-digits", "--data", "unlabelled.npz", "--task", "embedding:0.99"]
    in_a_format = ["--numerics", "ort-uint8", "--out", str(out / "transcripts")]
    assert bitcliff(folder, "assess", *scored, *in_a_format).returncode == 0
    (folder / "archive").mkdir()
    return folder


def with_little_effort(words: list[str]) -> list[str]:
    alone = {"--numerics", "--runtime"} & set(words) and "--budget" not in words
    searches = words[0] == "assess" and not alone
    return [*words, *LITTLE] if searches else words


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.page.stem)
def test_commands_run(block: Block, reader: Path) -> None:
    for line in block.commands:
        line = line.replace("$GITHUB_STEP_SUMMARY", "summary.md")
        words = shlex.split(line, comments=True)
        assert words[0] == "bitcliff", line
        if any(word.startswith(">") for word in words):
            place = next(n for n, word in enumerate(words) if word.startswith(">"))
            words, (target,) = words[:place], words[place + 1 :]
        else:
            target = ""
        ran = bitcliff(reader, *with_little_effort(words[1:]))
        assert ran.returncode in (0, 1, 3), (line, ran.stderr)
        assert not target or ran.stdout
        if words[1] == "gate":
            assert ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.page.stem)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network, x, y = digits(40)
    loader = DataLoader(TensorDataset(x, y), batch_size=20)
    names: dict[str, Any] = {"model": network, "loader": loader, "batch": x[:20]}
    exec(block.text, names)
    for name in [name for name in names if name.startswith("test_")]:
        # The reader's test, of a network that may fail it.
        with contextlib.suppress(AssertionError):
            names[name]()
