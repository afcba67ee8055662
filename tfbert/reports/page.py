"""The building blocks of the reports: figures and tables in HTML."""

import html
import io
import warnings

COLORS = ("#1f6feb", "#d1570c", "#2da44e", "#8250df", "#bf3989", "#6e7781", "#9a6700", "#0a7ea4", "#cf222e", "#57606a")
_LONGEST_TEXT = 500
_STYLE = {
    "svg.hashsalt": "tfbert",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 960px; margin: 2rem auto; padding: 0 1rem }}
h1 {{ font-size: 1.5rem; overflow-wrap: anywhere }} h2 {{ font-size: 1.15rem; margin-top: 2rem }}
.wide {{ overflow-x: auto }} table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #d1d9e0; text-align: right; white-space: nowrap }}
th:first-child, td:first-child {{ text-align: left; position: sticky; left: 0; background: #fff }}
.verdict {{ padding: .6rem 1rem; border-left: 4px solid #2da44e; background: #f6f8fa; overflow-wrap: anywhere }}
.verdict.bad {{ border-color: #cf222e }} .verdict.unsure {{ border-color: #bf8700 }}
.quiet {{ color: #59636e; font-size: .9rem; overflow-wrap: anywhere }}
.panels {{ display: flex; flex-wrap: wrap; overflow-x: auto }} svg {{ max-width: 100%; height: auto }}
.texts th:last-child, .texts td:last-child {{ text-align: left; white-space: normal; overflow-wrap: anywhere }}
.words th, .words td {{ text-align: left; white-space: normal; overflow-wrap: break-word }}
code, pre {{ font-size: .85rem; background: #f6f8fa }} code {{ white-space: nowrap }}
pre {{ overflow-x: auto; padding: .7rem }} pre.command {{ white-space: pre-wrap }}
pre.command span {{ display: inline-block; max-width: 100%; overflow-wrap: anywhere }}
details {{ margin: .5rem 0 }}
@media (max-width: 600px) {{
  .panels svg:only-child {{ flex: none; max-width: none; width: 620px }}
  .texts thead {{ display: none }} .texts table, .texts tbody {{ display: block }}
  .texts tr {{ display: block; padding: .5rem 0; border-bottom: 1px solid #d1d9e0 }}
  .texts td {{ display: inline-block; padding: 0 1rem 0 0; border: 0; position: static; white-space: normal }}
  .texts td:last-child {{ display: block }}
  .texts td:not(:last-child)::before {{ content: attr(data-head) " "; color: #59636e }}
}}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def page(title, body):
    """Returns a self-contained HTML page: title, list of its parts -> str."""
    return _PAGE.format(title=html.escape(title), body="\n".join(body))


def figure(title, draws, height=3.4):
    """Returns a figure as inline SVG under its title: panels side by side, or stacked on a phone.

    Args:
        title: str.
        draws: list of callable (axes), one per panel.
        height: float. Height of a panel, in inches.
    """
    panels = [drawn(draw, 9 / len(draws), height) for draw in draws]
    panels = "".join(svg[svg.index("<svg") :] for svg in panels)
    return f"<h2>{html.escape(title)}</h2>\n<div class=panels>{panels}</div>"


def drawn(draw, width=9, height=3.4):
    """Returns what a function draws on axes as an SVG file: callable (axes), width and height in inches -> str."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot, whose backend is the caller's

    with rc_context(_STYLE):
        picture = Figure(figsize=(width, height), layout="constrained")
        draw(picture.subplots())
        image = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # text stays text: the browser has the font
            picture.savefig(image, format="svg", metadata={"Date": None})
    return image.getvalue()


def name_axes(axes, x, y):
    """Labels the axes of a plot and adds a faint grid."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.2)


def legend_beside(axes):
    """Puts the legend to the right of a plot, if it has entries."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def table(head, rows):
    """Returns an HTML table that scrolls if it is too wide: list of titles, list of rows -> str."""
    cells = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>"


def table_of_texts(head, rows):
    """Returns a table with texts in its last column, which wrap and are cut if they are long; arguments as above."""
    titles = [html.escape(str(title), quote=True) for title in head]
    lines = []
    for row in rows:
        *cells, text = map(str, row)
        text = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " …"
        shown = zip(titles, map(html.escape, [*cells, text]))
        lines.append("<tr>" + "".join(f'<td data-head="{title}">{cell}</td>' for title, cell in shown) + "</tr>")
    cells = "".join(f"<th>{title}</th>" for title in titles)
    return f"<div class=texts><table><thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
