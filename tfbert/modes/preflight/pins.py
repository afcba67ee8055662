"""Sets of versions that are known to work together on TPUs; tools/install_tpu installs one, tfbert.doctor checks it.

Nothing is imported here: the tool reads the table before anything is installed.
"""

# The newest set comes first. Of several versions, the first is installed; all are known to work.
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
# These require plain tensorflow, which pip would install over tensorflow-tpu.
WITHOUT_DEPENDENCIES = ("tensorflow-text", "keras-hub")
# Their other requirements.
NEEDED_BY_THEM = ("regex", "rich", "kagglehub!=1.0.1", "sentencepiece", "tokenizers")


def pins_of(name):
    """Returns the versions that a set installs: package -> version."""
    return {package: versions[0] for package, versions in TPU_PINS[name].items()}
