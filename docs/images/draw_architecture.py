"""Draw docs/images/architecture.svg: python docs/images/draw_architecture.py.

Boxes have their own light ground and dark text, and lines a middle grey, so the picture is readable
on light and dark pages alike.
"""

from pathlib import Path

INK, LINE = "#1f2933", "#7b8794"
FILL = {
    "data": "#dbeafe",
    "plugin": "#fde68a",
    "train": "#d1fae5",
    "after": "#ede9fe",
    "edge": "#e5e7eb",
}


def box(x: int, y: int, w: int, h: int, kind: str, title: str, *lines: str) -> str:
    """Return a rounded box with a title and smaller lines."""
    middle = x + w // 2
    top = y + (h - 15 * len(lines)) // 2 + 5
    text = f'<text x="{middle}" y="{top}" class="t">{title}</text>'
    for k, line in enumerate(lines):
        text += f'<text x="{middle}" y="{top + 16 + 14 * k}" class="s">{line}</text>'
    ground = f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="7" fill="{FILL[kind]}"/>'
    return ground + text


def arrow(*points: tuple[int, int], label: str = "", at: tuple[int, int] = (0, 0)) -> str:
    """Return a line with a head, and its label."""
    path = " ".join(f"{x},{y}" for x, y in points)
    text = f'<text x="{at[0]}" y="{at[1]}" class="l">{label}</text>' if label else ""
    return f'<polyline points="{path}" class="a" marker-end="url(#head)"/>{text}'


PARTS = [
    box(20, 20, 920, 34, "edge", "cli, wopt.fit, wopt.solve, wopt.run: one builder for all (runs)"),
    arrow((90, 54), (90, 84)),
    box(20, 86, 140, 62, "edge", "a file, an array", "csv, parquet, npy, ..."),
    arrow((160, 117), (196, 117)),
    box(198, 86, 150, 62, "plugin", "source", "a plugin; wopt.data:", "splits, preprocessing"),
    arrow((348, 117), (384, 117)),
    box(386, 86, 150, 62, "data", "particles", "points, weights, log-det", "wopt.particles"),
    arrow((461, 148), (461, 196)),
    '<rect x="178" y="178" width="762" height="180" rx="10" class="loop"/>',
    '<text x="876" y="171" class="l">a step: wopt.train</text>',
    box(
        386,
        198,
        150,
        76,
        "plugin",
        "scheme",
        "what is minimised:",
        "a subproblem",
        "(wopt.interfaces)",
    ),
    arrow((536, 236), (576, 236)),
    box(
        578,
        198,
        160,
        76,
        "plugin",
        "block",
        "a new map, trained by",
        "the inner solver on",
        "mini-batches",
    ),
    arrow((738, 236), (774, 236)),
    box(
        776,
        198,
        150,
        76,
        "train",
        "guard",
        "held-out particles,",
        "finer computation:",
        "did it help?",
    ),
    arrow((850, 274), (850, 318), (658, 318), (658, 276), label="no: train again", at=(804, 312)),
    arrow((776, 254), (756, 254), (756, 340), (320, 340), (320, 236), (384, 236)),
    '<text x="480" y="334" class="l">yes: the particles move, the next step begins</text>',
    box(190, 198, 90, 76, "plugin", "objective", "energy of", "particles"),
    arrow((280, 216), (384, 216)),
    arrow((850, 358), (850, 396), label="accepted blocks", at=(790, 380)),
    box(776, 398, 150, 62, "after", "store", "run directory: blocks,", "records, checkpoint"),
    arrow((776, 429), (740, 429)),
    box(578, 398, 160, 62, "after", "flow", "a map and a base law:", "samples, likelihood"),
    arrow((578, 429), (540, 429)),
    box(386, 398, 152, 62, "after", "certify", "first-order errors,", "bounds (wopt.stein)"),
    arrow((386, 429), (350, 429)),
    box(198, 398, 150, 62, "after", "report", "figures, tables,", "one HTML page"),
    arrow((198, 429), (162, 429)),
    box(20, 398, 140, 62, "edge", "the reader"),
    '<text x="20" y="492" class="k">yellow: plugins, found by name (registry, host)</text>',
]

STYLE = f"""text {{ font-family: sans-serif; text-anchor: middle; fill: {INK}; }}
.t {{ font-size: 14px; font-weight: 600; }} .s {{ font-size: 11px; }}
.l {{ font-size: 12px; fill: {LINE}; }} .k {{ font-size: 12px; fill: {LINE}; text-anchor: start; }}
.a {{ fill: none; stroke: {LINE}; stroke-width: 1.6; }}
.loop {{ fill: none; stroke: {LINE}; stroke-width: 1.2; stroke-dasharray: 5 4; }}"""

HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    f'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{LINE}"/></marker></defs>'
)

if __name__ == "__main__":
    body = "\n".join(PARTS)
    (Path(__file__).parent / "architecture.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 505" role="img">\n'
        "<title>From a file to the report</title>\n"
        f"<style>{STYLE}</style>\n{HEAD}\n{body}\n</svg>\n"
    )
