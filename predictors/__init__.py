"""What an architecture costs and scores without running it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predictors.costs import Cost, ModelSize, cost, model_size
    from predictors.predictor import Prediction, Predictor, fit_predictor

__all__ = ["Cost", "ModelSize", "cost", "model_size", "Prediction", "Predictor", "fit_predictor"]

_HOMES = {
    "Cost": "predictors.costs",
    "ModelSize": "predictors.costs",
    "cost": "predictors.costs",
    "model_size": "predictors.costs",
    "Prediction": "predictors.predictor",
    "Predictor": "predictors.predictor",
    "fit_predictor": "predictors.predictor",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: the timing process must not load torch."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
