"""The report's files in a run directory."""

import os
from pathlib import Path

from bitcliff.errors import InputError
from bitcliff.record import Record, write_text_atomic
from bitcliff.report.examples_csv import render_csv
from bitcliff.report.html import Sections, render_html
from bitcliff.report.junit import render_junit
from bitcliff.verdict import Verdict


def write_report(
    record: Record,
    verdict: Verdict,
    directory: str | os.PathLike[str],
    sections: Sections | None = None,
) -> dict[str, Path]:
    """Write report.html, junit.xml and examples.csv, each whole or not at all.

    All are rendered before the first is written. The directory is made if it is missing.

    Args:
        sections: what questions add to the page.

    Returns:
        Where each file is, by its name.

    Raises:
        InputError: a file or the directory cannot be written.
    """
    target = Path(directory)
    texts = {
        "report.html": render_html(record, verdict, sections or Sections()),
        "junit.xml": render_junit(record, verdict),
        "examples.csv": render_csv(record),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{target}: cannot be made: {reason}; give a directory that may be written to"
        ) from error
    for name, text in texts.items():
        write_text_atomic(target / name, text)
    return {name: target / name for name in texts}
