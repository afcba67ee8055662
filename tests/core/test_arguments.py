"""What a caller may have given in place of another thing is told in a sentence, by every public function."""

import pytest

import tfbert
from tfbert import TASKS, InputError

TASK = "classification"


@pytest.fixture(scope="module")
def model(tiny):
    return tfbert.build_model(tfbert.load_encoder(tiny), TASKS[TASK](["no", "yes"]), max_seq_length=16)


@pytest.fixture(scope="module")
def dataset(model):
    rows = [{"text": "the printer", "label": "no"}, {"text": "is down", "label": "yes"}]
    return tfbert.make_dataset(rows, model.tokenizer, model.task, 2, 16)


@pytest.mark.parametrize(
    "call,word",
    [
        (lambda model, data: tfbert.build_model("minilm", model.task), "encoder must be .*load_encoder.* 'minilm'"),
        (lambda model, data: tfbert.build_model(model.encoder, TASK), "task must be .*TASKS.*: 'classification'"),
        (lambda model, data: tfbert.build_model(model.encoder, TASKS[TASK]), "task must be .*TASKS.*Classification"),
        (lambda model, data: tfbert.build_pretraining_model(model, model.task), "encoder must be .*TextModel"),
        (lambda model, data: tfbert.add_mixout(model, 0.5), "encoder must be"),
        (lambda model, data: tfbert.reinitialize("minilm", 1), "encoder must be"),
        (lambda model, data: tfbert.layer_decay(None, 0.9), "encoder must be .* None"),
        (lambda model, data: tfbert.extract_features("minilm", ["a"]), "model must be .*build_model.* 'minilm'"),
        (lambda model, data: tfbert.predict("out/model", ["a"]), "model must be .*load_model.* 'out/model'"),
        (lambda model, data: tfbert.save_model("out", model), "model must be .* 'out'"),
        (lambda model, data: tfbert.fill_mask(model.encoder, ["a [MASK]"]), "no masked-word head"),
        (lambda model, data: tfbert.train(model.encoder.backbone, data, None), "model must be"),
        (lambda model, data: tfbert.train(model, data, tfbert.AdamWeightDecay(), "mirrored"), "strategy must be"),
        (lambda model, data: tfbert.evaluate(data, model), "model must be .*ExampleDataset"),
        (lambda model, data: tfbert.evaluate(model, data, "mirrored"), "strategy must be .*make_strategy"),
        (lambda model, data: tfbert.make_dataset([], "minilm", model.task), "tokenizer must be .* 'minilm'"),
        (lambda model, data: tfbert.make_dataset([], model.tokenizer, TASK), "task must be"),
        (lambda model, data: tfbert.epoch_draws(TASK, [0, 1], {"no": 2}), "task must be"),
    ],
)
def test_what_is_another_thing(model, dataset, call, word):
    with pytest.raises(InputError, match=word) as error:
        call(model, dataset)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("factor", [None, -1.0, float("nan"), "2"])
def test_class_weights_that_are_none(model, dataset, factor):
    model.compile()
    with pytest.raises(InputError, match="class_weight takes numbers from 0. Received: .* for the class 1"):
        model.fit(dataset, class_weight={0: 1.0, 1: factor}, verbose=0)
