"""YAML without its surprises: no duplicate names, values keep their spelling, and aliases cannot blow up."""

import yaml

# Limits: characters of a file, and values in it once all aliases are expanded. A recipe has hundreds.
MOST_TEXT, _MOST_VALUES = 2**20, 100_000


def load_yaml(text):
    """Returns the content of a YAML document: mappings, lists, strings, numbers, True, False and None.

    A number or a bool is read as one only in the spelling that Python prints; anything else, dates included, stays a
    string, which a setting parses by its own type. So the column `1.10`, the label `no` and the choice `off` are what
    they look like.

    Args:
        text: str.

    Raises:
        yaml.YAMLError: it is not YAML, has a duplicate name or tags other than YAML's own, or is too large or too deep.
    """
    if len(text) > MOST_TEXT:
        raise yaml.YAMLError(f"it has more than {MOST_TEXT:,} characters")
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        """Returns a dict; a name may occur once, and overrides one merged by `<<`."""
        names = [key.value for key, _ in getattr(node, "value", []) if isinstance(key, yaml.ScalarNode)]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _as_python_writes(construct):
    def constructed(loader, node):
        try:
            value = construct(loader, node)
        except ValueError:  # such as a date in month 13
            return node.value
        return value if str(value) == node.value or str(value).lower() == node.value else node.value

    return constructed


for _kind in ("int", "float", "bool"):
    _construct = _as_python_writes(getattr(_Loader, f"construct_yaml_{_kind}"))
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _construct)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_yaml_str)


def _count(node, known):
    """Returns the number of values in a node once its aliases are expanded: int."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if known.setdefault(id(node), 0) is None:
        raise yaml.YAMLError("an alias is inside the node that it refers to")
    if known[id(node)]:
        return known[id(node)]
    known[id(node)] = None
    inside = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    total = 1 + sum(_count(part, known) for part in inside)
    if total > _MOST_VALUES:
        raise yaml.YAMLError(f"it has more than {_MOST_VALUES:,} values once aliases are expanded")
    known[id(node)] = total
    return total
