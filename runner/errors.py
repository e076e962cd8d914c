"""The errors of this package and the exit codes of the command line, in one place.

RunnerError
├── SpecError          a study file is wrong: every problem in it, with field and remedy        exit 2
├── Unreachable        bounds that no architecture of the space can meet                        exit 2
├── ExtensionError     a task or family of the operator's own cannot be loaded                 exit 2
├── NotFound           a study, architecture or file that does not exist                        exit 3
├── Conflict           a name already taken, a study already running, another device            exit 4
├── Refused            a server will not do it: no valid token, or not what it was sent         exit 2
├── ServerUnreachable  no server answers, or it cannot reach its own database                   exit 5
├── ServerFault        a server answered as no Supernaut server should                          exit 1
├── DamagedLedger      what is registered in the state folder cannot be read                   exit 6
├── CheckFailed        a family that was checked has problems                                   exit 6
├── StudyFailed        a stage could not do its work                                            exit 6
│   └── NonFiniteScore an architecture's outputs are NaN or infinite                            exit 6
└── Interrupted        someone asked to stop; the same command goes on                          exit 130

Errors of the other packages pass through; `exit_code` knows theirs too.
"""

from __future__ import annotations

OK, UNEXPECTED, USAGE, NOT_FOUND, CONFLICT, UNREACHABLE_SERVER, FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130


class RunnerError(ValueError):
    """The root of this package's errors."""

    exit_code = FAILED


class SpecError(RunnerError):
    """A study's specification is wrong."""

    exit_code = USAGE


class Unreachable(RunnerError):
    """No architecture of the space can meet the bounds."""

    exit_code = USAGE


class ExtensionError(RunnerError):
    """A task or family of the operator's own cannot be loaded, or is not what it should be."""

    exit_code = USAGE


class NotFound(RunnerError):
    """What was named does not exist."""

    exit_code = NOT_FOUND


class Conflict(RunnerError):
    """What was asked for contradicts what is there."""

    exit_code = CONFLICT


class Refused(RunnerError):
    """A server will not do what it was asked."""

    exit_code = USAGE


class ServerUnreachable(RunnerError):
    """No server answers, or the one that does cannot work now."""

    exit_code = UNREACHABLE_SERVER


class ServerFault(RunnerError):
    """A server's answer is no answer of a sound Supernaut server."""

    exit_code = UNEXPECTED


class DamagedLedger(RunnerError):
    """The file that holds what is registered cannot be read."""

    exit_code = FAILED


class CheckFailed(RunnerError):
    """A family that was checked cannot be searched as it is."""

    exit_code = FAILED


class StudyFailed(RunnerError):
    """A stage could not do its work."""

    exit_code = FAILED


class NonFiniteScore(StudyFailed):
    """An architecture's outputs are NaN or infinite: recorded as its failure, never as a result."""


class Interrupted(RunnerError):
    """The study stopped because someone asked it to; it can go on."""

    exit_code = INTERRUPTED


def exit_code(error: Exception) -> int | None:
    """The exit code for an error that a person can act on; None for a fault of our own.

    Matched by class name, so that the packages that define the errors need not be imported to look.
    """
    if isinstance(error, RunnerError):
        return error.exit_code
    for kind in type(error).__mro__:
        if kind.__name__ in _CODES:
            return _CODES[kind.__name__]
    return None


_CODES = {
    "StudyNotFound": NOT_FOUND,
    "StudyExists": CONFLICT,
    "AmbiguousId": USAGE,
    "StoreError": FAILED,
    "SpaceError": USAGE,
    "UnknownName": USAGE,
    "SearchFailed": FAILED,
    "SearchError": USAGE,
    "SupernetError": FAILED,
    "DeviceChanged": CONFLICT,
    "PredictorError": FAILED,
    "OSError": FAILED,  # a full disk, a folder that cannot be written
}
