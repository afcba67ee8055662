"""README.md of an output folder: what the model is, how it was made, how good it is, how to use it."""

import os

from tfbert.core.files import write_whole


def write_model_card(output_dir, settings, task, results, beyond=()):
    """Writes the model card.

    Args:
        output_dir: str. The run's folder.
        settings: dict. All settings, by name.
        task: one of TASKS.
        results: dict. The content of `eval_results.json`.
        beyond: sequence of str. Sentences on how its predictions differ from those in transformers.
    """
    splits = [split for split in ("dev", "test") if split in results]
    names = list(dict.fromkeys(name for split in splits for name in results[split]))
    lines = [
        f"# {settings['task']} with {settings['preset']}",
        "",
        f"{task.verb} by tfbert from `{settings['preset']}` on `{settings['train_file']}`, "
        f"kept from step {results['best_step']}.",
        *([f"**This run has failed**: {results['failed']}."] if results.get("failed") else []),
        *task.card(),
        "",
        f"| score | {' | '.join(splits)} |",
        f"|---|{'---|' * len(splits)}",
        *(f"| {name} | {' | '.join(_number(results[split].get(name)) for split in splits)} |" for name in names),
        "",
        "This is one run with one seed; other seeds score differently, on small data by several points.",
        "",
        "```python",
        "import tfbert",
        f"model = tfbert.load_model({os.path.join(output_dir, 'model')!r})",
        task.usage(pairs=bool(settings["text_pair_column"])),
        "```",
        "",
        *(_beyond(beyond) if beyond else []),
        "`config.yaml` beside this file repeats the run: `python -m tfbert.run --config=config.yaml --output_dir=...`.",
        "",
    ]
    write_whole(os.path.join(output_dir, "README.md"), "\n".join(lines).encode())


def _beyond(sentences):
    heading = "transformers can also load the folder `model`, but its predictions differ from those of tfbert:"
    return [heading, "", *(f"- {sentence}" for sentence in sentences), ""]


def _number(score):
    return "" if score is None else f"{score:.4f}"
