"""Owns the errors of running in parallel.

ParallelError (RunnerError)
|-- InvalidResources     workers, CPUs, GPUs, time limit or evaluator make no sense                exit 2
|-- EvaluatorFailed      the evaluator cannot be made in a worker                                 exit 6
|-- ClusterUnreachable   nothing that speaks like a Ray head answers at the address               exit 5
|-- ClusterRefused       the cluster wants a token that was not given, or was given wrong         exit 5
|-- ClusterVersion       the cluster runs another Ray or Python                                   exit 5
`-- ClusterFailed        a local Ray could not be started, or was lost more often than is normal  exit 6
"""

from __future__ import annotations

from runner.errors import FAILED, UNREACHABLE_SERVER, USAGE, RunnerError


class ParallelError(RunnerError):
    """Evaluations cannot run in parallel."""


class InvalidResources(ParallelError):
    """What was asked for cannot be run anywhere."""

    exit_code = USAGE


class EvaluatorFailed(ParallelError):
    """Workers start, but not the evaluator in them."""

    exit_code = FAILED


class ClusterUnreachable(ParallelError):
    """No Ray head answers at the given address."""

    exit_code = UNREACHABLE_SERVER


class ClusterRefused(ParallelError):
    """The cluster and this process do not agree on a token."""

    exit_code = UNREACHABLE_SERVER


class ClusterVersion(ParallelError):
    """The cluster runs another version of Ray or Python than this process."""

    exit_code = UNREACHABLE_SERVER


class ClusterFailed(ParallelError):
    """A local Ray did not start, or did not stay up."""

    exit_code = FAILED


class TooManyWorkers(UserWarning):
    """More workers than cores: they wait for each other."""
