"""The frozen layers of a model, by name, so that a copy of it has the same layers frozen."""


def frozen_layers(model):
    """Returns the non-trainable layers of a model, by their names from the outermost on: list of str."""
    return [path for path, layer in _layers_in(model) if not layer.trainable]


def freeze_layers(model, paths):
    """Makes the layers that `frozen_layers` returned non-trainable."""
    for path, layer in _layers_in(model):
        if path in paths:
            layer.trainable = False


def _layers_in(layer, outer=""):
    for part in layer._layers:
        path = f"{outer}/{part.name}"
        yield path, part
        yield from _layers_in(part, path)
