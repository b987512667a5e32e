"""tunesmith: from a file of examples and a pretrained language model to a fine-tuned model that has earned its place.

    import tunesmith

    done = tunesmith.run(tunesmith.Recipe(data={"path": "tickets.jsonl"}))
    print(done.sentence, done.card)

Names are looked up when they are first used: importing this package loads nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunesmith.core.errors import BusyError, DataError, DivergedError, GateError, MachineError, RecipeError, TunesmithError
    from tunesmith.feedback.next_config import NextConfig
    from tunesmith.pipeline.api import Round, check, prepare, run, show, synthesise
    from tunesmith.pipeline.estimating import Estimate, estimate
    from tunesmith.pipeline.next_round import NextOutcome, next_round
    from tunesmith.pipeline.promotion import champions, promote, rollback
    from tunesmith.recipe.machine import Machine, described
    from tunesmith.recipe.model import Recipe
    from tunesmith.recipe.yaml import load_recipe
    from tunesmith.search.advice.wishes import Wishes
    from tunesmith.search.advising import Advice, advise
    from tunesmith.search.searching import Search
    from tunesmith.search.searching import search as search_settings

__version__ = "0.1.0"

__all__ = [
    "Advice",
    "BusyError",
    "DataError",
    "DivergedError",
    "Estimate",
    "GateError",
    "Machine",
    "MachineError",
    "NextConfig",
    "NextOutcome",
    "Recipe",
    "RecipeError",
    "Round",
    "Search",
    "TunesmithError",
    "Wishes",
    "__version__",
    "advise",
    "champions",
    "check",
    "described",
    "estimate",
    "load_recipe",
    "next_round",
    "prepare",
    "promote",
    "rollback",
    "run",
    "search_settings",
    "show",
    "synthesise",
]

_ERRORS = "tunesmith.core.errors"
_API = "tunesmith.pipeline.api"
_PROMOTION = "tunesmith.pipeline.promotion"
_NEXT = "tunesmith.pipeline.next_round"
_SEARCH = "tunesmith.search.searching"
_ADVICE = "tunesmith.search.advising"
_ESTIMATING = "tunesmith.pipeline.estimating"
_MACHINE = "tunesmith.recipe.machine"
_HOMES = {
    "Advice": _ADVICE,
    "advise": _ADVICE,
    "Wishes": "tunesmith.search.advice.wishes",
    "BusyError": _ERRORS,
    "DataError": _ERRORS,
    "DivergedError": _ERRORS,
    "GateError": _ERRORS,
    "MachineError": _ERRORS,
    "RecipeError": _ERRORS,
    "TunesmithError": _ERRORS,
    "Recipe": "tunesmith.recipe.model",
    "load_recipe": "tunesmith.recipe.yaml",
    "NextConfig": "tunesmith.feedback.next_config",
    "NextOutcome": _NEXT,
    "next_round": _NEXT,
    "champions": _PROMOTION,
    "promote": _PROMOTION,
    "rollback": _PROMOTION,
    "Estimate": _ESTIMATING,
    "estimate": _ESTIMATING,
    "Machine": _MACHINE,
    "described": _MACHINE,
    "Round": _API,
    "check": _API,
    "prepare": _API,
    "run": _API,
    "show": _API,
    "synthesise": _API,
    "Search": _SEARCH,
    "search_settings": _SEARCH,
}
_NAMES = {"search_settings": "search"}
"""What is called otherwise at home: `tunesmith.search` is the package."""


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tunesmith' has no attribute '{name}'")
    value: object = getattr(import_module(home), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
