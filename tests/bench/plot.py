"""Small charts in one SVG file: a panel for each table, a line for each tracer.

Takes panels of plain data and gives text. Draws nothing that is not in the data, needs no
package, and gives the same bytes for the same data.
"""
import math

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 220, 64, 36, 40
COLOURS = ["#0b6e4f", "#b5523b", "#5b5b8f"]


def svg(panels, columns=2):
    """`panels` are (title, x label, y label, xs, {name: ys}); a y of None is left out."""
    rows = math.ceil(len(panels) / columns)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * WIDTH}" height="{rows * HEIGHT}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>']
    for number, panel in enumerate(panels):
        at = (number % columns * WIDTH, number // columns * HEIGHT)
        out += [f'<g transform="translate({at[0]} {at[1]})">', *_panel(*panel), "</g>"]
    return "\n".join([*out, "</svg>", ""])


def _panel(title, x_label, y_label, xs, lines):
    values = [y for ys in lines.values() for y in ys if y is not None and y > 0]
    if not values:
        return [_text(WIDTH / 2, HEIGHT / 2, f"{title}: nothing measured", "middle")]
    low, high = min(values), max(values)
    low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high * 1.001))
    right, bottom = WIDTH - 16, HEIGHT - BOTTOM

    def x_of(index):
        return LEFT + (right - LEFT) * (index / max(len(xs) - 1, 1))

    def y_of(value):
        return bottom - (bottom - TOP) * (math.log10(value / low) / math.log10(high / low))

    out = [_text(LEFT, 16, title, "start", "bold"), _text(LEFT, 29, y_label, "start"),
           _text((LEFT + right) / 2, HEIGHT - 6, x_label, "middle")]
    power = low
    while power <= high * 1.001:
        y = y_of(power)
        out += [f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>', _text(LEFT - 6, y + 4, f"{power:,g}", "end")]
        power *= 10
    out += [_text(x_of(index), bottom + 15, x, "middle") for index, x in enumerate(xs)]
    for number, (name, ys) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [(x_of(index), y_of(y)) for index, y in enumerate(ys) if y is not None and y > 0]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        out.append(_text(right - 60 * (len(lines) - 1 - number), 16, name, "end", "bold", colour))
    return out


def _text(x, y, text, anchor, weight="normal", colour="#222"):
    text = str(text).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{colour}">{text}</text>'
