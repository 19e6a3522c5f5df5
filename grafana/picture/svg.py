"""Strokes of a picture: boxes, lines and texts as SVG, in Grafana's dark colours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

GROUND, PANEL, EDGE, INK, FAINT, GRID = "#111217", "#181b1f", "#2b2e34", "#d8d9da", "#8e9199", "#2c3036"
SERIES = (
    *("#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#B877D9", "#56C5C0", "#E0B400", "#A352CC", "#96D98D"),
)
_COLOURS = {"green": "#73BF69", "orange": "#FF9830", "red": "#F2495C", "blue": "#5794F2", "purple": "#B877D9"}
_GROUNDS = {"green": "#2F7A28", "orange": "#B45F06", "red": "#B3142A", "blue": "#1F5FBF", "purple": "#7B3FA0"}
#: Width of a letter, as a part of its height.
_LETTER = 0.55


@dataclass(frozen=True)
class Box:
    """A place: left, top, width, height (px)."""

    x: float
    y: float
    w: float
    h: float

    def inner(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """Return what is left of it within margins."""
        return Box(self.x + left, self.y + top, self.w - left - right, self.h - top - bottom)


def colour(name: str) -> str:
    """Return a colour for lines and words, by Grafana's name of it."""
    return _COLOURS.get(name, name)


def ground(name: str) -> str:
    """Return the same colour for what white words stand on."""
    return _GROUNDS.get(name, name)


def rect(box: Box, fill: str, *, edge: str = "none", radius: float = 2, opacity: float = 1) -> str:
    """Return a filled box."""
    shown = "" if opacity == 1 else f' fill-opacity="{opacity}"'
    size = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{max(box.w, 0):.1f}" height="{max(box.h, 0):.1f}"'
    return f'<rect {size} rx="{radius}" fill="{fill}"{shown} stroke="{edge}"/>'


def words(
    x: float, y: float, said: str, size: float = 12, fill: str = INK, *, anchor: str = "start", bold: bool = False
) -> str:
    """Return a line of text whose baseline is at y."""
    weight = ' font-weight="500"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"'
    return f"<text {place}{weight}>{escape(said)}</text>"


def code(x: float, y: float, said: str) -> str:
    """Return a line of text as a terminal has it."""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="11" fill="#9fc6ff" xml:space="preserve"'
    return f'<text {place} font-family="monospace">{escape(said)}</text>'


def line(points: Sequence[tuple[float, float]], stroke: str, width: float = 1.5, *, dash: str = "") -> str:
    """Return a line through points."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="{_through(points)}" fill="none" stroke="{stroke}" stroke-width="{width}"{dashed}/>'


def area(points: Sequence[tuple[float, float]], floor: Iterable[tuple[float, float]], fill: str, opacity: float) -> str:
    """Return what lies between a line and a floor (its points from right to left)."""
    return f'<path d="{_through([*points, *floor])}Z" fill="{fill}" fill-opacity="{opacity}"/>'


def fitting(said: str, width: float, size: float = 12) -> str:
    """Return as much of a text as there is room for."""
    room = int(width / (size * _LETTER))
    return said if len(said) <= room else said[: max(room - 1, 0)] + "…"


def width_of(said: str, size: float = 12) -> float:
    """Return about how wide a text is."""
    return len(said) * size * _LETTER


def _through(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
