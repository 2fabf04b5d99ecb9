# SPDX-License-Identifier: BSL-1.0
"""The grid as a picture: bars of the servers' CPU time per message, as a multiple of the floor's."""
from servers import FLOOR

COLOURS = {"hawser": "#0b6e8f", FLOOR: "#8a8f98", "Beast": "#c9822b", "websocketpp": "#a5527f", "libwebsockets": "#5f8f3e"}
WIDTH, LABEL, BAR, GAP, MOST = 860, 170, 13, 16, 12.0


def micro(us):
    return f"{us:,.0f}" if us >= 100 else f"{us:.3g}"


def bar(x, y, width, colour, text):
    return (f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{BAR - 2}" rx="2" fill="{colour}"/>'
            f'<text x="{x + width + 6:.1f}" y="{y + BAR - 4}" class="v">{text}</text>')


def draw(result):
    """An SVG; bars longer than MOST times the floor are cut, their number tells."""
    rows = [r for r in result["results"] if FLOOR in r["servers"]]
    names = [n for n in COLOURS if all(n in r["servers"] for r in rows)]
    group = len(names) * BAR + GAP
    height = 78 + group * len(rows)
    scale = (WIDTH - LABEL - 120) / MOST
    machine = result["machine"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">',
           '<style>text{fill:#24292f}.v{font-size:11px}.s{fill:#57606a;font-size:11px}</style>',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           '<text x="12" y="22" font-size="15" font-weight="600">Server CPU time per echoed message, a bare epoll loop = 1</text>',
           f'<text x="12" y="39" class="s">size / connections / in flight; shorter is better; microseconds behind the bars; '
           f'{machine["date"]}, {machine["cores"]} cores of {machine["cpu"]}</text>']
    x = 12
    for name in names:
        out.append(f'<rect x="{x}" y="49" width="11" height="11" rx="2" fill="{COLOURS[name]}"/><text x="{x + 16}" y="59">{name}</text>')
        x += 36 + 7 * len(name)
    for i, row in enumerate(rows):
        top = 76 + i * group
        out.append(f'<text x="12" y="{top + group / 2 - GAP / 2 + 4:.0f}">{row["work"]}</text>')
        for j, name in enumerate(names):
            s = row["servers"][name]
            times = 1.0 if name == FLOOR else s["to_floor"] or 0
            cut = " (cut)" if times > MOST else ""
            text = f'{times:.2f}' if times < 10 else f'{times:.0f}'
            out.append(bar(LABEL, top + j * BAR, min(times, MOST) * scale, COLOURS[name], f'{text}{cut} · {micro(s["cpu_us"])} us'))
    out.append(f'<line x1="{LABEL + scale:.1f}" y1="70" x2="{LABEL + scale:.1f}" y2="{height - 8}" stroke="#24292f" stroke-dasharray="2 3" stroke-width="1"/>')
    return "\n".join([*out, "</svg>"]) + "\n"
