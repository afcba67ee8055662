#!/usr/bin/env python3
"""Keeps what the tests measured (devices, kills, TPU programs) in configs/measured.json, for the README's table.

EXTRAS=test,preflight tools/test -n 2 --junitxml=run.xml
.venv/bin/python tools/record_reliability.py run.xml
.venv/bin/python tools/update_readme.py
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measure import provenance, read, write  # noqa: E402


def main(path):
    """Takes over the properties that the tests of a run recorded; refuses a run in which one failed."""
    root = ElementTree.parse(path).getroot()
    suite = root if root.tag == "testsuite" else root[0]
    if int(suite.get("failures")) + int(suite.get("errors")):
        sys.exit(f"{path}: a test failed; nothing is recorded.")
    found = {}
    for entry in root.iter("property"):
        found.setdefault(entry.get("name"), []).append(entry.get("value"))
    measured = read()
    measured["reliability"] = {
        "layouts": len(found["loss_apart"]),
        "loss_apart": max(map(float, found["loss_apart"])),
        "weights_apart": max(map(float, found["weights_apart"])),
        "kills": sum(map(int, found["kills"])),
        "programs": found.get("program", []),
        **provenance(),
    }
    write(measured)


if __name__ == "__main__":
    main(*sys.argv[1:])
