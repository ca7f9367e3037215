"""Results as CSV that is safe to open in a spreadsheet: no text of a user or a model runs as a formula."""

import csv
import io
import re
from collections.abc import Sequence

_FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_SEPARATORS = frozenset(";\t\r\n")
"""Characters after which a spreadsheet whose separator is not the comma begins a new cell."""

# Tried at the beginning of each run of blanks only, so that a text of nothing else costs no more than its length.
_BEFORE_FORMULA = re.compile(rf"(?<![\s;])[\s;]++(?=[{re.escape(_FORMULA)}])")


def line(cells: Sequence[object]) -> str:
    """One row, every cell quoted (RFC 4180). None is an empty cell."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def inert(text: str) -> str:
    """The text with `'` before whatever could start a formula, and without NULs."""
    text = _BEFORE_FORMULA.sub(_quoted, text.replace("\0", ""))
    return f"'{text}" if text[:1] and text[0] in _FORMULA + "\t\r\n" else text


def _quoted(match: re.Match[str]) -> str:
    blanks = match[0]
    return f"{blanks}'" if match.start() == 0 or not _SEPARATORS.isdisjoint(blanks) else blanks


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    return inert(str(value))
