"""The kit on paper: a page to print, with the text and with QR codes of its lines.

A kit of eight partners has some 40 lines, which would fit into one code of 177 x 177 dots that few cameras read from
paper. So each code has at most LINES lines and says which ones; what a reader makes of them, one after the other, is
the kit's text.
"""

import html
from itertools import islice

import segno

from coopfs.core.kitlines import is_data

LINES = 20  # of a kit in one code: 960 bytes, 117 x 117 dots of 0.7 mm
LEVEL = "m"  # 15 % of a code may be unreadable
WIDTH = 90  # mm of a code with its margin: two fit side by side on a page

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
figure {{ display: inline-block; width: {width}mm; margin: 0; break-inside: avoid; }}
figure svg {{ width: {width}mm; height: {width}mm; }}
figcaption {{ text-align: center; }}
pre {{ font-size: 3mm; }}
</style>
<pre>{head}</pre>
{figures}
<p>The same, to type. Codes and lines hold the same data: read the codes in their order into one file.</p>
<pre>{lines}</pre>
</html>
"""


def codes(text: str) -> list[str]:
    """What stands in each code: lines of the kit without the spaces for the eye."""
    lines = iter([_narrow(line) for line in text.splitlines() if is_data(line)])
    chunks = []
    while chunk := list(islice(lines, LINES)):
        chunks.append("\n".join(chunk) + "\n")
    return chunks


def page(text: str) -> str:
    """The page, as HTML without anything outside of it."""
    remarks = [line for line in text.splitlines() if line.startswith("#")]
    contents = codes(text)
    figures = [_figure(content, number, len(contents)) for number, content in enumerate(contents, 1)]
    return _PAGE.format(
        title=html.escape(remarks[0].lstrip("# ")),
        width=WIDTH,
        head=html.escape("\n".join(remarks)),
        figures="\n".join(figures),
        lines=html.escape("\n".join(line for line in text.splitlines() if is_data(line))),
    )


def _narrow(line: str) -> str:
    number, *letters = line.split()
    return f"{number} {''.join(letters)}"


def _figure(content: str, number: int, total: int) -> str:
    drawn = segno.make(content, error=LEVEL, micro=False, boost_error=False).svg_inline(omitsize=True)
    first, last = content.split()[0], content.splitlines()[-1].split()[0]
    return f"<figure>{drawn}<figcaption>{number} of {total}: lines {first} to {last}</figcaption></figure>"
