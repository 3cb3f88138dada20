"""A picture of one run: what share of each ceiling was reached, as an SVG file written by hand."""

from html import escape

from benchlib.figures import Figure, number

WIDTH, LABEL, ROW, BAR = 940, 330, 34, 11  # pixels: of all, of the names, between figures, of one bar
SCALE = 480  # pixels for the whole of a ceiling
MOST = 1.15  # of a ceiling: what reached more ends here, with its number
COLOURS = {"of_null": "#2b6cb0", "of_disk": "#a0aec0"}
NAMES = {"of_null": "of a filesystem that does nothing", "of_disk": "of the local disk"}


def svg(figures: list[Figure]) -> str:
    """One bar for each ceiling of a figure; the line is the ceiling. Figures without one are told in words."""
    lines, y = [], 60
    for figure in figures:
        label = f"{figure.what}: {number(figure.value)} {figure.unit}"
        lines.append(_text(8, y + 14, label))
        for offset, ceiling in ((0, "of_null"), (BAR + 1, "of_disk")):
            share = getattr(figure, ceiling)
            if share is not None:
                length = min(share, MOST) * SCALE
                lines.append(_bar(LABEL, y + offset, length, COLOURS[ceiling]))
                lines.append(_text(LABEL + length + 5, y + offset + BAR - 1, f"{share:.2f}"))
        y += ROW
    legend = [
        _bar(LABEL + 240 * n, 18, BAR, COLOURS[ceiling]) + _text(LABEL + 240 * n + BAR + 6, 28, NAMES[ceiling])
        for n, ceiling in enumerate(COLOURS)
    ]
    whole = LABEL + SCALE
    line = f'<line x1="{whole}" y1="45" x2="{whole}" y2="{y}" stroke="#1a202c" stroke-dasharray="4 3"/>'
    body = "\n".join([*legend, line, *lines])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" font-family="sans-serif"'
        f' font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _bar(x: int, y: int, length: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
