"""Runs what the documentation shows to run, and writes down anew what comes out.

python -m tools.rerun_docs

Of `docs/tutorial.md` the commands, of `docs/own-pieces.ipynb` the cells. The tests hold the pages
to the same.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL, NOTEBOOK = DOCS / "tutorial.md", DOCS / "own-pieces.ipynb"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def rerun(text: str, folder: Path) -> str:
    """The page with what its commands print now.

    Blocks are scripts of one shell each, and run in their order in one folder. Of a block the lines
    that begin with `$ ` are commands, the others what they print on stdout.
    """

    def block(found: re.Match[str]) -> str:
        told = [line[2:] for line in found[1].splitlines() if line.startswith("$ ")]
        # Each is shown before it runs, and finds the exit code of the one before in `$?`.
        script = "".join(
            f"printf '%s\\n' {shlex.quote('$ ' + one)}; (exit $code)\n{one}\ncode=$?\n"
            for one in told
        )
        ran = subprocess.run(  # noqa: S603  (the page's own commands)
            ["/bin/bash", "-c", f"code=0\n{script}"],
            cwd=folder,
            # Whatever is installed there, what runs is this checkout.
            env=os.environ
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(DOCS.parent / "src"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        lines = [line.rstrip() for line in ran.stdout.splitlines()]
        return "```console\n" + "\n".join(lines) + "\n```"

    return _BLOCK.sub(block, text)


def executed(file: Path) -> Any:
    """A notebook with what its cells give now, without the times."""
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=600, record_timing=False).execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TUTORIAL.write_text(rerun(TUTORIAL.read_text(), Path(folder)))
    nbformat.write(executed(NOTEBOOK), NOTEBOOK)
