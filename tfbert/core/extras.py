"""Packages that only some settings need, and the command that installs them; nothing is imported here."""

import shlex

# The name under which tfbert is installed and its metadata are found: on PyPI, `tfbert` is someone else's package.
DISTRIBUTION = "tfbert-finetune"

# The same as in setup.cfg under [options.extras_require].
EXTRAS = {
    "chinese": ("jieba>=0.42", "stopwordsiso>=0.6"),
    "mislabelled": ("cleanlab>=2.6",),
    "nlpaug": ("nlpaug>=1.1.11",),
    "preflight": ("jax==0.10.2", "libtpu==0.0.51"),
    "sweep": ("optuna>=5",),
}


def install_command(extra):
    """Returns the command that installs the packages of an extra of setup.cfg: str.

    It names the packages themselves, which works wherever tfbert was installed from; it is on no package index.
    """
    return f"pip install {shlex.join(EXTRAS[extra])}"
