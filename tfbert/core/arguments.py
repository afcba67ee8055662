"""What a caller may have given in place of another thing, told at the door."""

from tfbert.core.errors import WrongType


def check_encoder(encoder):
    """Raises WrongType for something else than a BertEncoder."""
    _check("encoder", encoder, "parts", 'an encoder, as tfbert.load_encoder("minilm") returns it')


def check_model(model):
    """Raises WrongType for something else than a model of tfbert's."""
    _check("model", model, "traced", "a model that tfbert.build_model or tfbert.load_model returned")


def check_task(task):
    """Raises WrongType for something else than a task, such as its name or its class."""
    _check("task", task, "to_json", 'a task, such as tfbert.TASKS["classification"](labels=["no", "yes"])')


def check_tokenizer(tokenizer):
    """Raises WrongType for something else than a BertTokenizer."""
    _check("tokenizer", tokenizer, "cls_id", 'a tokenizer, such as model.tokenizer, or tfbert.load_tokenizer("minilm")')


def check_strategy(strategy):
    """Raises WrongType for something else than a strategy, or None."""
    if strategy is not None:
        what = 'a tf.distribute.Strategy, as tfbert.make_strategy("mirrored") returns it, or None'
        _check("strategy", strategy, "num_replicas_in_sync", what)


def _check(name, value, attribute, what):
    """Raises WrongType where a value has not the attribute that shows what it is."""
    if isinstance(value, type) or not hasattr(value, attribute):
        raise WrongType(f"{name} must be {what}. Received: {value!r:.80}.")
