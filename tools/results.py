"""Measured results: configs/results/NAME.csv, one file per study, one row per trial.

A file begins with lines `# key: value` for what all rows share: the kind of study, its command, and when, on which
machine and with which versions it was measured. If the latter differs between rows, a column `measured` refers to lines
`# measured 1: …`, `# measured 2: …`. Numbers have eight digits; an empty cell is a score that a trial does not have.
tools/record.py and tools/bench.py write these files, tools/write_docs.py reads them, and
`pandas.read_csv(path, comment="#")` can.
"""

import csv
import dataclasses
import datetime
import importlib.metadata
import io
import os
import pathlib
import platform

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = "configs/results"


@dataclasses.dataclass
class Study:
    """One file.

    Attributes:
        about: dict of str. What all rows share.
        rows: list of dict: str, float, bool or None by column. All have `measured`, what `provenance` returned.
    """

    about: dict = dataclasses.field(default_factory=dict)
    rows: list = dataclasses.field(default_factory=list)

    def replace(self, rows, *key):
        """Adds rows, replacing those with the same values in the key columns; returns the study."""
        new = {tuple(row[column] for column in key) for row in rows}
        self.rows = [row for row in self.rows if tuple(row[column] for column in key) not in new] + rows
        return self

    def groups(self, column):
        """Returns the rows by their value in a column: dict of list."""
        found = {}
        for row in self.rows:
            found.setdefault(row[column], []).append(row)
        return found


def read(name, root=ROOT):
    """Returns a Study; an empty one if nothing has been measured."""
    path = root / RESULTS / f"{name}.csv"
    if not path.exists():
        return Study()
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    comments = [line[2:].rstrip("\n").partition(": ")[::2] for line in lines if line.startswith("#")]
    measured = {key.removeprefix("measured").strip(): text for key, text in comments if key.startswith("measured")}
    rows = [
        {column: _value(text) for column, text in row.items()} | {"measured": measured[row.get("measured", "")]}
        for row in csv.DictReader(line for line in lines if not line.startswith("#"))
    ]
    return Study({key: text for key, text in comments if not key.startswith("measured")}, rows)


def read_all(root=ROOT):
    """Returns all studies by their names: dict of Study."""
    return {path.stem: read(path.stem, root) for path in sorted((root / RESULTS).glob("*.csv"))}


def write(name, study, root=ROOT):
    """Writes a Study."""
    places = list(dict.fromkeys(row["measured"] for row in study.rows))
    numbers = {place: str(number) for number, place in enumerate(places, start=1)}
    columns = list(dict.fromkeys(column for row in study.rows for column in row if column != "measured"))
    about = [*study.about.items()]
    if len(places) > 1:
        columns.append("measured")
        about += [(f"measured {number}", place) for place, number in numbers.items()]
    else:
        about += [("measured", place) for place in places]
    file = io.StringIO()
    file.writelines(f"# {key}: {text}\n" for key, text in about)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in study.rows:
        row = row | {"measured": numbers[row["measured"]]}
        writer.writerow([_text(row.get(column)) for column in columns])
    path = root / RESULTS / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.getvalue(), encoding="utf-8")


def provenance():
    """Returns date, machine and versions of a measurement made now: "DATE, MACHINE; VERSIONS"."""
    packages = ("tensorflow", "keras", "keras-hub")
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    return f"{datetime.date.today()}, {_machine()}; {versions}"


def when(row):
    """Returns date and machine of the measurement of a row: str."""
    return row["measured"].partition("; ")[0]


def source(row):
    """Returns date, machine and versions of the measurement of a row: str."""
    return row["measured"]


def sources(rows, words):
    """Returns the different origins of some rows, in order; `words` is `when` or `source`: list of str."""
    return list(dict.fromkeys(words(row) for row in rows))


def _machine():
    """Returns the name of this machine: str. CPUs of one name differ in bfloat16 instructions, so it includes them."""
    model, bfloat16 = platform.machine(), ""
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
        for flag in ("avx512_bf16", "amx_bf16"):
            if line.startswith("flags") and flag in line.split():
                bfloat16 = f" ({flag})"
    return f"{model}{bfloat16}, {os.cpu_count()} cores, no accelerator"


def _value(text):
    """Returns the value of a cell: None, bool, float or str."""
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text)
    except ValueError:
        return text


def _text(value):
    """Returns the cell of a value."""
    if value is None or isinstance(value, bool):
        return next(text for text, meant in _WORDS.items() if meant is value)
    return f"{value:.8g}" if isinstance(value, float) else value


_WORDS = {"": None, "true": True, "false": False}
