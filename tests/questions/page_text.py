"""What a reader sees of a section's page: its text without tags, and its tables' cells."""

import html
import re

from bitcliff.record import Record
from bitcliff.report.html import Sections, render_html
from bitcliff.report.section import Section
from bitcliff.verdict import judge


def page_of(record: Record, section: Section) -> str:
    """The section as the report has it, between its tags."""
    page = render_html(record, judge(record, 2.0), Sections(explained=[section]))
    start = page.index(f'<details class="explain" id="{section.key}"')
    return page[start : page.index('<section aria-labelledby="coverage">', start)]


def text_of(page: str) -> str:
    """Without tags and drawings, white space (but no-break spaces) squeezed."""
    page = re.sub(r"<svg.*?</svg>|</?bdi[^>]*>", "", page, flags=re.DOTALL)
    return " ".join(re.split(r"[ \n]+", html.unescape(re.sub(r"<[^>]+>", " ", page)))).strip()


def rows_of(page: str) -> list[list[str]]:
    """The text of each cell of each row of all tables, in order, without rows of headings."""
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    cells = [re.findall(r"<(?:td|th scope=\"row\").*?</t[dh]>", row, re.DOTALL) for row in rows]
    return [[text_of(cell) for cell in row] for row in cells if row]


def rows_under(page: str, caption: str) -> list[list[str]]:
    """The same of the table alone whose caption has that id."""
    (table,) = re.findall(rf'<caption id="{caption}".*?</table>', page, re.DOTALL)
    return rows_of(table)
