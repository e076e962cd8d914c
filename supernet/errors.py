"""The errors of this package, as a tree.

SupernetError
├── LayoutError            a parameter cannot be sliced the way that was declared, or needs a declaration
├── UnknownParameter       an architecture asks for a parameter that the shared weights do not hold
├── ShapeTooLarge          an architecture asks for more than the shared weights hold
├── StaleBorrow            a borrowed module outlived the weights that it looked into
├── BorrowedModuleCopied   a borrowed module was pickled or deep-copied
├── CompressionError       a module cannot be compressed the way that was asked for
├── UnknownName            a task or model family that does not exist
├── OptionError            an option of a task has a value that it cannot take
├── IncompatibleTask       a model family cannot take the inputs or targets of a task
├── DataError              a task's data is missing, empty or damaged
├── PretrainedError        a pretrained model is not the largest architecture, or cannot be read
│   └── CouplingError      axes cannot be reordered together as declared
├── TrainingError
│   ├── NonFiniteLoss      the loss is NaN or infinite
│   ├── TrainingCollapsed  training lost what it had learnt, again after going back with a lower learning rate
│   ├── RankFailed         another of the processes that train together failed
│   ├── TeacherError       a teacher cannot be opened, or does not answer for this task
│   └── CheckpointError    a checkpoint cannot be written, or none of those present can be read
└── ExportError
    ├── ParityError        the exported file does not compute what the module computes
    └── BundleError        an exported folder is incomplete, damaged or unreadable
"""


class SupernetError(ValueError):
    """The root of this package's errors."""


class LayoutError(SupernetError):
    """A parameter cannot be sliced as declared, or must be declared and is not."""


class UnknownParameter(SupernetError):
    """An architecture asks for a parameter that no probed architecture had."""


class ShapeTooLarge(SupernetError):
    """An architecture asks for a larger tensor than the shared one."""


class StaleBorrow(SupernetError):
    """A borrowed module is used after its shared weights were moved or loaded."""


class BorrowedModuleCopied(SupernetError):
    """A borrowed module was pickled or deep-copied; its parameters are views of tensors it does not own."""


class CompressionError(SupernetError):
    """A module cannot be compressed as asked."""


class UnknownName(SupernetError):
    """A task or model family of this name does not exist."""


class OptionError(SupernetError):
    """An option of a task has a value that it cannot take."""


class IncompatibleTask(SupernetError):
    """A model family cannot take the inputs or targets of this task."""


class DataError(SupernetError):
    """The data of a task is missing, empty or damaged."""


class PretrainedError(SupernetError):
    """A pretrained model is not what shared weights can start from."""


class CouplingError(PretrainedError):
    """Axes or layers cannot be put into another order as declared: the network would compute something else."""


class TrainingError(SupernetError):
    """Training cannot go on."""


class NonFiniteLoss(TrainingError):
    """The loss became NaN or infinite."""


class TrainingCollapsed(TrainingError):
    """Training lost what it had learnt, and did so again after it went back with a lower learning rate."""


class RankFailed(TrainingError):
    """Another of the processes that train together failed."""


class TeacherError(TrainingError):
    """A teacher cannot be opened, or does not answer for this task."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be written, or none of those present can be read."""


class ExportError(SupernetError):
    """A module cannot be exported."""


class ParityError(ExportError):
    """The exported file disagrees with the module beyond the tolerance."""


class BundleError(ExportError):
    """An exported folder is incomplete, damaged or unreadable."""
