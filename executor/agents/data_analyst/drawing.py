"""A small SVG canvas: text that fits, colours for light and dark, scales with round numbers."""

from __future__ import annotations

import math
import re
import unicodedata
from xml.sax.saxutils import escape, quoteattr

WIDTH = 880
MARGIN = 28
#: Where the drawing starts, below title and subtitle.
TOP = 88
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Marks that turn the direction of the text around them; in data they only deceive.
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Plain classes, not CSS variables: some viewers of SVG know only the former.
_STYLE = """
text{font-family:system-ui,-apple-system,"Segoe UI","PingFang SC","Hiragino Sans GB","Microsoft YaHei",
"Noto Sans CJK SC","Noto Sans SC","Source Han Sans SC","WenQuanYi Micro Hei",sans-serif}
text{font-size:13px;fill:#1f2733}
.paper{fill:#ffffff}
.title{font-size:18px;font-weight:600}
.muted{fill:#647082}
.strong{font-weight:600}
.halo{paint-order:stroke;stroke:#ffffff;stroke-width:5px;stroke-linejoin:round}
.bar{fill:#3f74c8}
.rest{fill:#b3bfce}
.far{fill:#d4622a}
.far-text{fill:#b44c17;font-weight:600}
.area{fill:#3f74c8;fill-opacity:.1}
.line{fill:none;stroke:#3f74c8;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}
.dashed{stroke-dasharray:2 6}
.dot{fill:#3f74c8;stroke:#ffffff;stroke-width:2}
.hollow{fill:#ffffff;stroke:#3f74c8;stroke-width:2}
.grid{stroke:#e6e9ee;stroke-width:1}
.axis{stroke:#aab4c2;stroke-width:1}
.middle{stroke:#1f2733;stroke-width:1.25;stroke-dasharray:4 4}
@media (prefers-color-scheme:dark){
text{fill:#e5e9f0}
.paper{fill:#161a20}
.muted{fill:#98a4b5}
.halo{stroke:#161a20}
.bar{fill:#76a5f5}
.rest{fill:#4a5667}
.far{fill:#ff9557}
.far-text{fill:#ffa976}
.area{fill:#76a5f5;fill-opacity:.14}
.line{stroke:#76a5f5}
.dot{fill:#76a5f5;stroke:#161a20}
.hollow{fill:#161a20;stroke:#76a5f5}
.grid{stroke:#282f39}
.axis{stroke:#55606f}
.middle{stroke:#e5e9f0}
}
"""


class Canvas:
    """Collects shapes and writes one SVG document. Coordinates are pixels from the top left."""

    def __init__(self, title: str, subtitle: str, description: str, height: float) -> None:
        self._title = clean(title)
        self._description = clean(description)
        self._height = math.ceil(height)
        self._shapes: list[str] = []
        room = WIDTH - 2 * MARGIN
        self.text(MARGIN, 42, fit(title, room, size=18), "title")
        self.text(MARGIN, 66, fit(subtitle, room), "muted")

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "start") -> None:
        """Write one line; ``y`` is its baseline."""
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self._shapes.append(f'<text {place} class="{style}">{escape(clean(text))}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a straight line."""
        self._shapes.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'
        )

    def bar(self, x: float, y: float, width: float, height: float, style: str, hint: str = "") -> None:
        """Draw a bar; ``hint`` is shown when the pointer rests on it."""
        title = f"<title>{escape(clean(hint))}</title>" if hint else ""
        size = f'width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
        self._shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="2.5" class="{style}">{title}</rect>')

    def path(self, points: list[tuple[float, float]], style: str, *, closed: bool = False) -> None:
        """Draw a line through points, or fill the shape they enclose."""
        steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._shapes.append(f'<path d="M{steps}{"Z" if closed else ""}" class="{style}"/>')

    def dot(self, x: float, y: float, style: str, hint: str = "", radius: float = 4.5) -> None:
        """Draw a point of a line."""
        title = f"<title>{escape(clean(hint))}</title>" if hint else ""
        self._shapes.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{style}">{title}</circle>'
        )

    def svg(self) -> str:
        """Return the document. It has no script and refers to nothing outside itself."""
        size = f'width="{WIDTH}" height="{self._height}" viewBox="0 0 {WIDTH} {self._height}"'
        label = quoteattr(self._title)
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={label}>',
                f"<title>{escape(self._title)}</title>",
                f"<desc>{escape(self._description)}</desc>",
                f"<style>{_STYLE}</style>",
                f'<rect class="paper" width="{WIDTH}" height="{self._height}" rx="10"/>',
                *self._shapes,
                "</svg>\n",
            ]
        )


def clean(text: str) -> str:
    """Make untrusted text one line that XML can hold."""
    return " ".join(_DIRECTION.sub("", _NOT_XML.sub("\ufffd", text)).split())


def text_width(text: str, size: float = 13) -> float:
    """Estimate the width of a text in pixels: a Chinese character is as wide as high."""
    return size * sum(_em(char) for char in text)


def _em(char: str) -> float:
    if unicodedata.combining(char):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.0
    return 0.32 if char in " .,:;'il|!" else 0.68 if char.isupper() or char in "mw%@" else 0.57


def fit(text: str, width: float, size: float = 13) -> str:
    """Shorten a text with an ellipsis so that it fits into ``width`` pixels."""
    text = clean(text)
    if text_width(text, size) <= width:
        return text
    kept, used = "", text_width("…", size)
    for char in text:
        used += _em(char) * size
        if used > width:
            break
        kept += char
    return kept.rstrip() + "…"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return evenly spaced round numbers that enclose ``low`` and ``high``."""
    span = (high - low) or abs(high) or 1.0
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]
