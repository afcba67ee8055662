"""Tables for a terminal."""


def aligned(rows):
    """Returns the rows of a table as lines whose columns are aligned, the first to the left, the others to the right.

    Args:
        rows: list of rows, the titles first; cells are shown as `str` shows them.

    Returns:
        list of str.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    ]


def named(rows):
    """Returns lines of a name and what it is, aligned: list of (str, str) -> list of str."""
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {what}" for name, what in rows]
