"""Sets of versions that are known to work together on TPUs; tools/install_tpu installs one, tfbert.doctor checks it.

Nothing is imported here: the tool reads the table before anything is installed.
"""

# The first is the one to take. libtpu: the first is installed, all are known good.
TPU_PINS = {
    "2.20": {
        "tensorflow-tpu": ("2.20.0",),
        "libtpu": ("0.0.17", "0.0.14"),
        "tensorflow-text": ("2.20.1",),
        "keras-hub": ("0.32.0",),
        "keras": ("3.15.1",),
    },
    "2.19": {
        "tensorflow-tpu": ("2.19.1",),
        "libtpu": ("0.0.10",),
        "tensorflow-text": ("2.19.0",),
        "keras-hub": ("0.31.1",),
        "keras": ("3.15.1",),
    },
}
# These ask for plain tensorflow, which pip would lay over tensorflow-tpu.
WITHOUT_DEPENDENCIES = ("tensorflow-text", "keras-hub")
# What keras-hub asks for besides.
NEEDED_BY_THEM = ("regex", "rich", "kagglehub!=1.0.1", "sentencepiece", "tokenizers")


def pins_of(name):
    """Returns the versions to install of a set: package -> version."""
    return {package: versions[0] for package, versions in TPU_PINS[name].items()}
