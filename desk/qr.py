"""A text as a QR code: as the path of an SVG, and in the half blocks of a terminal.

The text is a pairing address, so nothing here logs it (T16).
"""

from __future__ import annotations

from .errors import missing

QUIET = 4
# Black on white whatever the terminal's colours are: a camera takes no other.
PAPER, PLAIN = "\x1b[30;107m", "\x1b[0m"
DARK, LIGHT = "\x1b[40m  ", "\x1b[107m  "


def qr_path(text: str) -> tuple[int, str]:
    """The side of a square in modules, quiet zone included, and the path `d` of its dark modules."""
    rows = _modules(text)
    parts = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            width = 0
            while x + width < len(row) and row[x + width]:
                width += 1
            if width:
                parts.append(f"M{x} {y}h{width}v1h-{width}z")
            x += max(1, width)
    return len(rows), "".join(parts)


def qr_lines(text: str, encoding: str = "utf-8") -> list[str]:
    """Lines for a terminal, two rows of modules each, with the colours set in every line.

    A terminal whose encoding has no half blocks gets coloured spaces, twice as wide and high.
    """
    rows = _modules(text)
    try:
        "\u2580\u2584\u2588".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return ["".join(DARK if module else LIGHT for module in row) + PLAIN for row in rows]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    blocks = {(False, False): " ", (True, False): "\u2580", (False, True): "\u2584", (True, True): "\u2588"}
    return [
        PAPER + "".join(blocks[pair] for pair in zip(upper, lower, strict=True)) + PLAIN
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _modules(text: str) -> list[list[bool]]:
    try:
        import segno
    except ImportError as error:
        raise missing(error) from error
    code = segno.make(text, error="m", micro=False, boost_error=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=QUIET)]
