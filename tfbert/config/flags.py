"""The command line: settings as flags, --help, --version, and the messages for wrong flags."""

import importlib
import re
import sys

from absl import flags

from tfbert.config.help import help_text
from tfbert.config.load import FIELDS, load_config, parse, unknown_setting
from tfbert.config.setting import allowed, kind_of
from tfbert.core.errors import InputError


def define_flags():
    """Defines one absl flag per setting, and --config; call it once, before absl parses the command line."""
    serializer = flags.ArgumentSerializer()
    flags.DEFINE_string("config", None, "YAML file of settings; flags override it.")
    for name, field in FIELDS.items():
        kind, _ = kind_of(field)
        text = f"{field.metadata['help']}. Allowed: {allowed(field)}."
        if kind is bool:
            flag = flags.BooleanFlag(name, field.default, text)
            flag.parser = _FlagParser(name)  # absl's own raises a tuple, and does not take "yes", which YAML does
            flags.DEFINE_flag(flag)
        elif kind is tuple:
            flags.DEFINE_multi_string(name, list(field.default), text)
        else:
            flags.DEFINE(_FlagParser(name), name, field.default, text, serializer=serializer)


def parse_flags(arguments):
    """Returns the words of a command line that are not flags: list of str.

    Exits with status 0 after `--help`, `-h`, `--help=GROUP` or `--version`, and with 1 for a wrong flag.
    """
    _answer_questions(arguments[1:])
    try:
        return flags.FLAGS(arguments)
    except flags.UnrecognizedFlagError as error:
        message = unknown_setting(error.flagname, "--")
    except flags.Error as error:
        # Our own messages name the flag already.
        message = re.sub(r"^flag --(\w+)=.*: (?=--\1 must )", "", str(error), flags=re.DOTALL)
    except (UnicodeDecodeError, RecursionError) as error:
        message = f"the --flagfile is not a readable text file: {error}."
    sys.exit(f"Error: {message}\n--help lists every setting.")


def config_from_flags():
    """Returns the `Config` of the parsed command line: the file of --config, overridden by the flags."""
    given = {name: flags.FLAGS[name].value for name in FIELDS if flags.FLAGS[name].present}
    return load_config(flags.FLAGS.config, **given)


def _answer_questions(words):
    for word in words[: words.index("--")] if "--" in words else words:
        question, _, group = word.partition("=")
        if question in ("--help", "-help", "-h"):
            try:
                print(help_text(group))
            except InputError as error:
                sys.exit(f"Error: {error}")
            sys.exit()
        if word in ("--version", "-version"):
            print(f"tfbert {importlib.import_module('tfbert').__version__}")
            sys.exit()


class _FlagParser(flags.ArgumentParser):
    syntactic_help = ""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def parse(self, argument):
        return parse(self._name, argument)

    def flag_type(self):
        return "string"
