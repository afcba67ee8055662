"""The building blocks of the reports: figures and tables in HTML."""

import html
import io
import warnings

COLORS = ("#1f6feb", "#d1570c", "#2da44e", "#8250df", "#bf3989", "#6e7781", "#9a6700", "#0a7ea4", "#cf222e", "#57606a")
_STYLE = {
    "svg.hashsalt": "tfbert",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 960px; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.15rem; margin-top: 2rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #d1d9e0; text-align: right; white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left }}
.verdict {{ padding: .6rem 1rem; border-left: 4px solid #2da44e; background: #f6f8fa }}
.verdict.bad {{ border-color: #cf222e }}
.quiet {{ color: #59636e; font-size: .9rem }} svg {{ max-width: 100%; height: auto }}
.texts td:last-child {{ text-align: left; white-space: normal; overflow-wrap: anywhere }}
.words th, .words td {{ text-align: left; white-space: normal; overflow-wrap: break-word }}
details {{ margin: .5rem 0 }} pre {{ overflow-x: auto; background: #f6f8fa; padding: .7rem; font-size: .85rem }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def page(title, body):
    """Returns a page of HTML that needs no network: its title, list of its parts -> str."""
    return _PAGE.format(title=html.escape(title), body="\n".join(body))


def figure(title, draw, columns=1, height=3.4):
    """Returns a figure as inline SVG under its title."""
    svg = drawn(draw, columns, height)
    return f"<h2>{html.escape(title)}</h2>\n{svg[svg.index('<svg') :]}"


def drawn(draw, columns=1, height=3.4):
    """Returns a figure of several panels side by side, drawn by a function, as SVG: str."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot, whose backend is the caller's

    with rc_context(_STYLE):
        picture = Figure(figsize=(9, height), layout="constrained")
        draw(picture.subplots(1, columns, squeeze=False)[0])
        image = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # text stays text: the browser has the font
            picture.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()


def name_axes(axes, x, y):
    """Names the axes of a plot, and lays a faint grid under it."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.2)


def legend_beside(axes):
    """Puts the legend to the right of a plot, if there is anything in it."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def table(head, rows):
    """Returns a table of HTML: list of titles, list of rows -> str."""
    cells = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"
