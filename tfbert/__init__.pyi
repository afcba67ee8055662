"""The public names as editors and type checkers see them; `__init__.py` loads them when they are first used."""

from tfbert.config.load import load_config as load_config
from tfbert.core.errors import InputError as InputError
from tfbert.data.datasets import make_dataset as make_dataset
from tfbert.data.windows import LongText as LongText
from tfbert.inference.features import extract_features as extract_features
from tfbert.inference.predict import predict as predict
from tfbert.inference.saved_model import load_model as load_model
from tfbert.inference.saved_model import save_model as save_model
from tfbert.models.initialization import reinitialize as reinitialize
from tfbert.models.mixout import add_mixout as add_mixout
from tfbert.models.presets import load_encoder as load_encoder
from tfbert.models.presets import load_tokenizer as load_tokenizer
from tfbert.models.text_model import build_model as build_model
from tfbert.modes.doctor import doctor as doctor
from tfbert.modes.preflight.report import preflight as preflight
from tfbert.optim.adam_weight_decay import AdamWeightDecay as AdamWeightDecay
from tfbert.optim.lamb import Lamb as Lamb
from tfbert.optim.parameter_groups import layer_decay as layer_decay
from tfbert.optim.schedules import linear_warmup as linear_warmup
from tfbert.optim.schedules import make_schedule as make_schedule
from tfbert.run import run as run
from tfbert.tasks import TASKS as TASKS
from tfbert.tasks.labelled.balance import epoch_draws as epoch_draws
from tfbert.tasks.masked_lm.fill_mask import fill_mask as fill_mask
from tfbert.tasks.masked_lm.model import build_pretraining_model as build_pretraining_model
from tfbert.tasks.span.model import build_span_model as build_span_model
from tfbert.tasks.tagging.model import build_tagging_model as build_tagging_model
from tfbert.training.devices import make_strategy as make_strategy
from tfbert.training.evaluation import evaluate as evaluate
from tfbert.training.loop import train as train

__version__: str
