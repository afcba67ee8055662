"""The optimiser, its schedule, and the weights it trains: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser, its schedule, and the weights it trains."""

    optimizer: str = setting(
        "adamw",
        "Optimiser: adamw, or lamb for large batches",
        choices="tfbert.optim:OPTIMIZERS",
        also="optim optimizer_type",
    )
    learning_rate: float = setting(
        2e-5, "Peak learning rate", above=0.0, scope=Scope.RESULT, also="lr learn_rate init_lr peak_lr"
    )
    schedule: str = setting(
        "linear",
        "How the learning rate decays after warm-up; slanted_triangular: linearly, from and to 1/32 of the peak",
        choices="tfbert.optim:SCHEDULES",
        also="lr_scheduler_type lr_scheduler lr_schedule scheduler",
    )
    polynomial_power: float = setting(
        2.0, "Exponent of the polynomial schedule", above=0.0, needs={"schedule=polynomial": ""}
    )
    warmup_proportion: float = setting(
        0.1,
        "Fraction of the steps in which the learning rate rises from 0",
        minimum=0.0,
        maximum=1.0,
        also="warmup_ratio warmup",
    )
    warmup_steps: int | None = setting(
        None,
        "Number of steps in which the learning rate rises; overrides warmup_proportion",
        minimum=0,
        also="num_warmup_steps",
    )
    weight_decay: float = setting(
        0.01, "Decoupled weight decay; never applied to LayerNorm and biases", minimum=0.0, also="wd weight_decay_rate"
    )
    prior_weight_decay: bool = setting(
        False,
        "Decay weights toward their pre-trained values; new weights (the head) still decay toward 0",
        needs={"weight_decay": "which sets its strength"},
    )
    bias_correction: bool = setting(
        True, "Adam's bias correction; off: as in the optimiser of google-research/bert", also="correct_bias"
    )
    max_grad_norm: float = setting(
        1.0,
        "Clip gradients to this global norm; 0: no clipping",
        minimum=0.0,
        also="clip_norm clipnorm global_clipnorm grad_clip gradient_clip_val",
    )
    layer_lr_decay: float = setting(
        1.0,
        "Ratio of each layer's learning rate to that of the layer above it",
        above=0.0,
        maximum=1.0,
        also="layerwise_lr_decay lr_layer_decay llrd layer_decay",
    )
    head_lr_multiplier: float = setting(1.0, "Ratio of the head's learning rate to learning_rate", minimum=0.0)
    lr_multipliers: tuple[str, ...] = setting(
        (),
        "REGEX=VALUE: learning-rate multiplier of the variables whose whole path matches; the first match wins, "
        "before freezing, layer decay and head; 0 freezes; repeatable",
    )
    freeze: str = setting(
        "none",
        "Weights that are not trained; encoder: embeddings, layers and pooler, so that only the head is trained",
        choices=("none", "embeddings", "encoder"),
        also="freeze_encoder=encoder freeze_bert=encoder freeze_embeddings=embeddings",
    )
    freeze_layers: int = setting(
        0, "Number of lowest encoder layers that are not trained; the embeddings are then frozen, too", minimum=0
    )
    unfreeze_steps: int | None = setting(
        None,
        "Gradual unfreezing: train head and pooler first, then unfreeze one more layer from the top every N steps, "
        "the embeddings last",
        minimum=1,
        excludes={"freeze=encoder": ""},
    )
    ema_decay: float | None = setting(
        None,
        "Evaluate and save an exponential moving average of the weights, with this decay per step",
        above=0.0,
        below=1.0,
        also="ema",
    )
