"""Pictures of genomes: which bytes belong to which node, and from which parent they come.

A genome is drawn as its slots in the order of memory, each with its eight bytes and what it does.
Above the slots of a tree lie its nodes, the root on top, each as wide as the bytes of its subtree:
what a crossover cuts is one such bar. Long genomes go on in the next line.
"""

from __future__ import annotations

import colorsys
import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from opcodon import _core

if TYPE_CHECKING:
    from opcodon._core import Genome
    from opcodon.genome import Crossover, Gene

__all__ = ["crossover", "crossover_html", "genome", "genome_html"]

# Lengths in pixels.
_SLOT = 100
_BAR = 17
_CELL = 48
_GAP = 14
_MARGIN = 10
_TITLE = 20
# Nodes of the longest formula that is typeset.
_MOST_NODES = 60
# Characters of the font of a slot that fit its width.
_LETTERS = 15

# The colour of the k-th node or gene, of these slots, effective or not.
_Colour = Callable[[int, int, int, bool], str]


class _Node(NamedTuple):
    """A bar: the slots of a subtree, at a depth."""

    begin: int
    end: int
    depth: int
    text: str


def genome(individual: Genome, width: int | None = None) -> str:
    """A genome as SVG.

    Parameters
    ----------
    individual : Genome
        What to draw.
    width : int, optional
        Slots in a line; 8 unless given.

    Returns
    -------
    str
        The picture.
    """
    parts, width_px, height_px = _drawing(
        individual, 8 if width is None else width, _by_node, None, None
    )
    return _svg(parts, width_px, height_px, f"machine code of {individual}")


def genome_html(individual: Genome) -> str:
    """A genome for a notebook: its formula, and the picture.

    Parameters
    ----------
    individual : Genome
        What to show.

    Returns
    -------
    str
        HTML.
    """
    return _shown([("", individual)], genome(individual))


def crossover_html(result: Crossover) -> str:
    """A crossover for a notebook: the formulas, and the picture.

    Parameters
    ----------
    result : Crossover
        What to show.

    Returns
    -------
    str
        HTML.
    """
    named = [
        ("first parent", result.first),
        ("second parent", result.second),
        ("child", result.child),
    ]
    return _shown(named, crossover(result))


def _shown(named: Sequence[tuple[str, Genome]], svg: str) -> str:
    """Formulas above a picture, as far as they are short enough to be read."""
    rows = ""
    for name, individual in named:
        try:
            formula = individual.to_expression()
        except ValueError:  # longer than any text should be
            continue
        if formula.size <= _MOST_NODES:
            rows += f'<tr><td class="text muted">{name}</td>'
            rows += f'<td class="text formula">{formula.mathml(6)}</td></tr>'
    return _core.fragment(f"<table>{rows}</table>{svg}")


def crossover(result: Crossover, width: int | None = None) -> str:
    """Parents and child side by side as SVG.

    Parameters
    ----------
    result : Crossover
        What to draw.
    width : int, optional
        Slots in a line of each genome; 3 unless given.

    Returns
    -------
    str
        The picture: bytes of the first parent are blue, of the second orange, introns pale. Dashed
        frames are around what is cut, what is given, and where it goes.
    """
    of_first, of_second = _of_parent(210), _of_parent(30)
    place = None
    if result.cut is not None and result.donor is not None:
        place = (result.cut[0], result.cut[0] + result.donor[1] - result.donor[0])

    def of_child(k: int, begin: int, end: int, effective: bool) -> str:
        given = place is not None and place[0] <= begin and end <= place[1]
        return (of_second if given else of_first)(k, begin, end, effective)

    drawings = [
        _drawing(individual, 3 if width is None else width, colour, frame, title)
        for individual, colour, frame, title in [
            (result.first, of_first, result.cut, "first parent"),
            (result.second, of_second, result.donor, "second parent"),
            (result.child, of_child, place, "child"),
        ]
    ]
    parts: list[str] = []
    left = 0
    for drawing, width_px, _ in drawings:
        parts.append(f'<g transform="translate({left} 0)">')
        parts += drawing
        parts.append("</g>")
        left += width_px + _MARGIN
    height_px = max(height for _, _, height in drawings)
    return _svg(parts, left - _MARGIN, height_px, "a crossover of machine code")


def _by_node(k: int, _begin: int, _end: int, effective: bool) -> str:
    # Neighbours differ as much as possible: turns by the golden angle.
    return _rgb(k * 137.508, 0.82, 0.7) if effective else "#e4e4e4"


def _of_parent(hue: float) -> _Colour:
    def shade(k: int, _begin: int, _end: int, effective: bool) -> str:
        return _rgb(hue, 0.72 + 0.05 * (k % 3), 0.75) if effective else _rgb(hue, 0.93, 0.5)

    return shade


def _rgb(hue: float, lightness: float, saturation: float) -> str:
    """A colour that every renderer knows; the hue in degrees."""
    channels = colorsys.hls_to_rgb(hue / 360 % 1, lightness, saturation)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _svg(parts: Sequence[str], width: int, height: int, title: str) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" style="max-width:100%" role="img">',
            f"<title>{html.escape(title)}</title>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="10" fill="#222">',
            *parts,
            "</g>",
            "</svg>",
        ]
    )


def _nodes(individual: Genome, genes: Sequence[Gene]) -> list[_Node]:
    """The bars of a tree, in postfix order; none for a linear genome."""
    marks = getattr(individual, "marks", ())
    if not marks:
        return []
    depths = [0] * len(marks)
    # The operands of a node are the subtrees that end where the next one begins.
    for k in reversed(range(len(marks))):
        operand = k - 1
        for _ in range(marks[k].arity):
            depths[operand] = depths[k] + 1
            begin = marks[operand].begin
            while operand >= 0 and marks[operand].begin >= begin:
                operand -= 1
    return [
        _Node(mark.begin, mark.end, depth, _label(mark.operation, gene))
        for mark, depth, gene in zip(marks, depths, genes, strict=True)
    ]


def _label(operation: str, gene: Gene) -> str:
    return gene.text.partition(" = ")[2] if operation == "load" else operation


def _drawing(
    individual: Genome,
    per_line: int,
    colour: _Colour,
    frame: tuple[int, int] | None,
    title: str | None,
) -> tuple[list[str], int, int]:
    """The parts of a picture, and its width and height."""
    if per_line < 1:
        raise ValueError(f"width must be at least one slot, not {per_line}")
    genes = individual.genes
    nodes = _nodes(individual, genes)
    code = individual.code
    n_slots = len(individual)
    levels = max((node.depth + 1 for node in nodes), default=0)
    line_height = levels * _BAR + _CELL
    top = _MARGIN + (_TITLE if title else 0)
    width = 2 * _MARGIN + min(n_slots, per_line) * _SLOT
    if title:
        width = max(width, 2 * _MARGIN + 2 * _SLOT)
    parts = []
    if title:
        parts.append(f'<text x="{_MARGIN}" y="{_MARGIN + 10}" font-size="13">{title}</text>')
    n_lines = -(-n_slots // per_line)
    for line in range(n_lines):
        first = line * per_line
        last = min(first + per_line, n_slots)
        y = top + line * (line_height + _GAP)

        def x(slot: int, first: int = first) -> int:
            return _MARGIN + (slot - first) * _SLOT

        for k, node in enumerate(nodes):
            begin, end = max(node.begin, first), min(node.end, last)
            if begin < end:
                fill = colour(k, node.begin, node.end, True)
                box = (x(begin), y + node.depth * _BAR, (end - begin) * _SLOT, _BAR)
                told = f"node {k}: {node.text}, slots {node.begin} to {node.end - 1}"
                parts += _box(box, fill, [node.text], told)
        for k, gene in enumerate(genes):
            fill = colour(k, gene.begin, gene.end, gene.effective)
            for slot in range(max(gene.begin, first), min(gene.end, last)):
                octets = code[8 * slot : 8 * slot + 8]
                texts = [gene.text if slot == gene.begin else "…"]
                texts += [octets[:4].hex(" "), octets[4:].hex(" ")]
                told = f"slot {slot}: {gene.text}" + ("" if gene.effective else " (intron)")
                parts += _box((x(slot), y + levels * _BAR, _SLOT, _CELL), fill, texts, told)
        if frame is not None:
            begin, end = max(frame[0], first), min(frame[1], last)
            if begin < end:
                parts.append(
                    f'<rect x="{x(begin)}" y="{y - 2}" width="{(end - begin) * _SLOT}" '
                    f'height="{line_height + 4}" fill="none" stroke="#c00" stroke-width="2" '
                    'stroke-dasharray="5 3"/>'
                )
    height = top + n_lines * (line_height + _GAP) - _GAP + _MARGIN
    return parts, width, height


def _box(box: tuple[int, int, int, int], fill: str, texts: Sequence[str], title: str) -> list[str]:
    """A rectangle with centred lines of text, cut to its width, and the whole as a hint."""
    x, y, width, height = box
    letters = _LETTERS * width // _SLOT
    step = height / (len(texts) + (0.3 if len(texts) > 1 else 0))
    lines = []
    for k, text in enumerate(texts):
        shown = text if len(text) <= letters else text[: letters - 1] + "…"
        baseline = y + step * (k + 0.5 + (0.15 if len(texts) > 1 else 0)) + 3.5
        opacity = "" if k == 0 else ' fill-opacity="0.65"'
        lines.append(
            f'<text x="{x + width / 2:.0f}" y="{baseline:.1f}" text-anchor="middle"{opacity}>'
            f"{html.escape(shown)}</text>"
        )
    return [
        f"<g><title>{html.escape(title)}</title>",
        f'<rect x="{x + 0.5}" y="{y + 0.5}" width="{width - 1}" height="{height - 1}" rx="3" '
        f'fill="{fill}" stroke="#888" stroke-width="0.5"/>',
        *lines,
        "</g>",
    ]
