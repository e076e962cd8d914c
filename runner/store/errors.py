"""The errors of the store.  It owns no rule: who finds a mistake raises.

StoreError (a RuntimeError)
├── NotRecorded              a row that was asked for does not exist
│   └── StudyNotFound        no study has this name, id or beginning of an id
├── StudyExists              a study of that name is recorded already
├── AmbiguousId              several studies begin with these characters
├── InvalidQuery             (also a ValueError) a filter, an order or a place in it that no page has
├── InvalidRecord            (also a ValueError) what was to be recorded is not a fact: NaN, a negative time
├── ImmutableValue           a measured value would be overwritten with another one
├── IllegalTransition        no study or stage may go from that state to this one
├── StaleTransition          the study or stage is no longer in the state that the caller expected
├── AlreadyEvaluated         what was to be reserved is evaluated already
├── Reserved                 another process evaluates it at this moment
├── BudgetSpent              evaluations and reservations together have reached the budget
├── StaleAttempt             the result belongs to an attempt that somebody else has replaced
├── StaleRevision            notes or tags were edited meanwhile
├── LeaseLost                another attempt has begun on the study or job, or it is gone
├── IdempotencyMismatch      the key was given with another request before
├── IdempotencyBusy          the same request is being answered at this moment
├── DamagedBlob              what lies under a digest does not have it
├── RecordExists             a record or a copy would be overwritten
├── NotADatabase             the file is no record of Supernaut, or it is damaged
├── DatabaseTooNew           a newer version of Supernaut wrote it
├── DatabaseTooOld           it must be migrated first
├── MigrationFailed          the migration was rolled back
└── StoreUnavailable         locked, disk full, unwritable, not reached
"""

from __future__ import annotations


class StoreError(RuntimeError):
    """The record could not be read or written."""


class NotRecorded(StoreError):
    """A row that was asked for does not exist."""


class StudyNotFound(NotRecorded):
    """No study has this name, id or beginning of an id."""


class StudyExists(StoreError):
    """A study of that name is recorded already."""


class AmbiguousId(StoreError):
    """Several studies have an id that begins with these characters."""


class InvalidQuery(StoreError, ValueError):
    """A filter, an order, or a place in an order, that no page of this kind has."""


class InvalidRecord(StoreError, ValueError):
    """What was to be recorded is not a fact: a number that is not finite, a time without a zone."""


class ImmutableValue(StoreError):
    """A value that is no prediction would be overwritten with another one."""


class IllegalTransition(StoreError):
    """No study, stage or job may go from that state to this one."""


class StaleTransition(StoreError):
    """The study, stage or job is no longer in the state that the caller expected."""


class AlreadyEvaluated(StoreError):
    """What was to be reserved is evaluated already."""


class Reserved(StoreError):
    """Another process evaluates this at this moment."""


class BudgetSpent(StoreError):
    """Evaluations and reservations together have reached the budget."""


class StaleAttempt(StoreError):
    """The result belongs to an attempt that is no longer its owner's; it was not recorded."""


class StaleRevision(StoreError):
    """Notes or tags were edited since the caller read them; nothing was changed."""


class LeaseLost(StoreError):
    """Another attempt has begun on what the caller claimed, or it is gone; nothing was written."""


class IdempotencyMismatch(StoreError):
    """The key was given with another request before."""


class IdempotencyBusy(StoreError):
    """The same request is being answered at this moment."""


class DamagedBlob(StoreError):
    """What lies under a digest does not have it."""


class RecordExists(StoreError):
    """There is a file or a table where a record, or a copy of one, was to be made."""


class NotADatabase(StoreError):
    """The file is no record of Supernaut, or it is damaged."""


class DatabaseTooNew(StoreError):
    """A newer version of Supernaut wrote this database."""


class DatabaseTooOld(StoreError):
    """An older version of Supernaut wrote this database; it must be migrated first."""


class MigrationFailed(StoreError):
    """A migration left rows that point nowhere; it was rolled back."""


class StoreUnavailable(StoreError):
    """The database cannot be used now: locked, disk full, unwritable, not reached."""
