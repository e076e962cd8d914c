"""The errors of this package, as a tree.

PredictorError
├── MissingCost        a module uses an operation whose cost is not known
├── TooFewValues       a predictor is asked to learn from too little
├── TimingError        a latency could not be measured
└── DeviceChanged      measurements of one device would be mixed with another's
"""


class PredictorError(ValueError):
    """The root of this package's errors."""


class MissingCost(PredictorError):
    """A module uses an operation whose cost is not known."""


class TooFewValues(PredictorError):
    """A predictor is asked to learn from too few, or from unusable, values."""


class TimingError(PredictorError):
    """A latency could not be measured."""


class DeviceChanged(PredictorError):
    """Measurements of one device would be mixed with another's."""
