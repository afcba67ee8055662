#!/usr/bin/env python3
"""Writes the table of flags into README.md, between its two markers, from the settings in tfbert/config.py."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tfbert.config import flags_table  # noqa: E402

readme = ROOT / "README.md"
text = readme.read_text(encoding="utf-8")
pattern = r"(<!-- flags -->\n).*(<!-- /flags -->)"
text = re.sub(pattern, lambda match: match[1] + flags_table() + "\n" + match[2], text, flags=re.DOTALL)
readme.write_text(text, encoding="utf-8")
