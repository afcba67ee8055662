"""The output of `--help`: the settings by group, one line each; and of `--help=GROUP`: one group in full."""

import dataclasses
import shutil
import textwrap

from tfbert.config.load import GROUP_OF, GROUPS
from tfbert.config.setting import allowed
from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean

_USAGE = """python -m tfbert.run --config=FILE.yaml --SETTING=VALUE …

  --config=FILE.yaml               YAML file of settings; flags override it
  --help=GROUP                     One group of settings in full, such as --help=optimizer
  --version                        The version of tfbert"""
_INDENT = 35


def help_text(group=""):
    """Returns the output of `--help`: str.

    Args:
        group: str. The group to show in full, or one of its settings; "": all groups, with one line per setting.

    Raises:
        InputError: there is no such group.
    """
    width = min(shutil.get_terminal_size((120, 24)).columns, 120)
    if not group:
        return "\n\n".join([_USAGE, *(_shortly(name, width) for name in GROUPS)])
    group = GROUP_OF.get(group, group)
    if group not in GROUPS:
        raise InputError(f"--help={group}: the groups are {', '.join(GROUPS)}.{did_you_mean(group, GROUPS)}")
    return "\n\n".join([_title(group), *(_in_full(field, width) for field in dataclasses.fields(GROUPS[group]))])


def _title(group):
    return f"{group}: {GROUPS[group].__doc__}"


def _shortly(group, width):
    """Returns a group with one line per setting, each cut to the width: str."""
    lines = [_title(group)]
    for field in dataclasses.fields(GROUPS[group]):
        meaning = textwrap.shorten(field.metadata["help"], width - _INDENT, placeholder=" …")
        default = "" if field.default in (None, ()) else f"={str(field.default).lower()}"
        lines.append(f"  --{field.name}{default}".ljust(_INDENT) + meaning)
    return "\n".join(lines)


def _in_full(field, width):
    """Returns the full help of a setting: str."""
    default = "" if field.default in (None, ()) else f" Default: {str(field.default).lower()}."
    about = f"{field.metadata['help']}. Allowed: {allowed(field)}.{default}"
    return f"--{field.name}\n" + textwrap.fill(about, width, initial_indent="    ", subsequent_indent="    ")
