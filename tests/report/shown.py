"""What a reader sees of a page: its text, and the cells of a table by the table's caption."""

import html
import re


def text_of(page: str) -> str:
    """All text, without tags and superfluous white space."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def rows_under(page: str, caption: str) -> list[list[str]]:
    """The texts of each row of the table whose caption has that id, the headings first."""
    (table,) = re.findall(rf'<caption id="{caption}".*?</table>', page, re.DOTALL)
    return [
        [text_of(cell) for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    ]
