"""The figure of probe accuracy by layer."""

from tfbert.inference.layer_probe import COMBINED, TOKENS
from tfbert.reports.page import drawn

_NAMES = {"cls": "[CLS]", "mean": "mean of the tokens", "max": "maximum of the tokens"}


def layer_curve(scores, majority):
    """Returns a plot of the score by layer for each of TOKENS, then of the combinations of layers, as SVG: str.

    Args:
        scores: dict of str -> float, as returned by `probe_layers`.
        majority: float. The score of the most frequent label.
    """
    layers = sum(name.startswith(f"{TOKENS[0]}, ") for name in scores)

    def draw(axes):
        for token in TOKENS:
            heights = [scores[f"{token}, layer {layer}"] for layer in range(layers)]
            axes.plot(range(layers), heights, "o-", label=_NAMES[token])
        others = [*COMBINED, "pooler"]
        for number, name in enumerate(others):
            axes.plot(layers + number, scores[name], "s", color="tab:gray")
        axes.axhline(majority, color="black", linewidth=0.8, linestyle=":", label="most frequent label")
        axes.set_xticks(range(layers + len(others)), [*map(str, range(layers)), *others])
        for label in axes.get_xticklabels()[layers:]:
            label.set(rotation=30, ha="right")
        axes.set(xlabel="layer (0: embeddings), then combinations of layers for [CLS]", ylabel="accuracy on dev")
        axes.legend()

    return drawn(draw, height=4.5)
