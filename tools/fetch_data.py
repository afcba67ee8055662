#!/usr/bin/env python3
"""Fetches the public data sets of the recipes into data/NAME/SPLIT.jsonl, and checks their SHA-256.

    python tools/fetch_data.py sst2 mrpc      # some
    python tools/fetch_data.py --list         # every name, with its source and size
    python tools/fetch_data.py all

Each set is downloaded from its source in SETS, at a fixed commit, and converted to JSON lines with `id`, `text` (or
`text_a` and `text_b`) and `label`; raw text has one sentence per line and a blank line between documents. Recipes that
use a part of a set choose it by the SHA-256 of the ids, so that everybody gets the same rows. The data remain under the
licences of their owners.
"""

import argparse
import functools
import hashlib
import pathlib
import sys
import urllib.error
import urllib.request

from data_sets import SETS, as_bytes

ROOT = pathlib.Path(__file__).parents[1]


def main(arguments=None):
    """Fetches the requested sets that are missing; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(SETS)}")
    parser.add_argument("--list", action="store_true", help="print the source of each set")
    options = parser.parse_args(arguments)
    if options.list or not options.names:
        for name, source in SETS.items():
            print(f"{name}: {source.about}", *source.urls, sep="\n    ")
        return 0
    names = list(SETS) if options.names == ["all"] else options.names
    for name in names:
        if name not in SETS:
            parser.error(f"Unknown data set {name!r}; known: {', '.join(SETS)}.")
    for name in names:
        fetch(name, SETS[name], ROOT / "data")
    return 0


def fetch(name, source, folder):
    """Writes the files of a data set to folder/NAME, unless all exist.

    Args:
        name: str.
        source: DataSet.
        folder: pathlib.Path.
    """
    target = folder / name
    if all((target / file).exists() for file in source.sha256):
        print(f"{target} exists already.")
        return
    files = {file: as_bytes(rows) for file, rows in source.make(*map(download, source.urls))}
    for file, content in files.items():
        found = hashlib.sha256(content).hexdigest()
        if found != source.sha256[file]:
            wanted = source.sha256[file]
            sys.exit(f"Error: {name}/{file} has the SHA-256 {found}, not {wanted}: its source has changed.")
    target.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (target / file).write_bytes(content)
        print(f"Wrote {target / file}: {len(content):,} bytes.")


@functools.cache  # two sets are parts of one archive
def download(url):
    """Returns the content of a URL, bytes; ends the program with one sentence if it cannot be reached."""
    print(f"Fetching {url}")
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.read()
    except (urllib.error.URLError, OSError) as error:
        sys.exit(f"Error: {url} cannot be reached: {getattr(error, 'reason', error)}.")


if __name__ == "__main__":
    sys.exit(main())
