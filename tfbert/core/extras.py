"""The packages that only some settings need, and the command that installs them; nothing is imported here."""

import shlex

# As setup.cfg has them under [options.extras_require].
EXTRAS = {
    "chinese": ("jieba>=0.42", "stopwordsiso>=0.6"),
    "mislabelled": ("cleanlab>=2.6",),
    "nlpaug": ("nlpaug>=1.1.11",),
    "preflight": ("jax==0.10.2", "libtpu==0.0.51"),
    "sweep": ("optuna>=5",),
}


def install_command(extra):
    """Returns the command that installs what an extra of setup.cfg asks for: str.

    It names the packages themselves, which is right wherever tfbert came from: on package indexes `tfbert` is the name
    of somebody else's package.
    """
    return f"pip install {shlex.join(EXTRAS[extra])}"
