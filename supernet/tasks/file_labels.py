"""What the path of a file says about it: its class, the group it belongs to, and the split it was given to.

A class is the folder right below the data or below `train`, `validation` and `test`; or a part of the name, found
with a pattern such as `{label}_{speaker}_{group}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from supernet.errors import DataError, OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

SPLITS = ("train", "validation", "test")
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What folders and columns call a split, in small letters."""

LABEL, GROUP = "label", "group"
MOST_FIELDS = 8
FORM = "write for example {label}_{speaker}_{group}: one {label}, at most one {group}, other names as you like"


@dataclass(frozen=True)
class FileLabel:
    """What a path says; `group` is None without a pattern that has one, `split` None where no folder says it."""

    label: str
    group: str | None
    split: str | None


def check_pattern(pattern: object) -> None:
    """Raise `OptionError` for a pattern that is none, whatever the data: before anything is read."""
    if pattern is None:
        return
    if not isinstance(pattern, str):
        raise OptionError(f"the pattern {pattern!r} is not text; {FORM}.")
    _expression(pattern)


def read_labels(paths: Sequence[PurePosixPath], pattern: str | None) -> list[FileLabel]:
    """What each path says.

    Raises `DataError` where one says no class, naming it, where all say the same, or where other folders stand beside
    those of splits; `OptionError` for a pattern that is none.
    """
    expression = None if pattern is None else _expression(pattern)
    shared = _shared_folders(paths)
    folders = [path.parts[shared:-1] for path in paths]
    first = {parts[0].lower() if parts else "" for parts in folders}
    words = {SPLIT_WORDS[name] for name in first & SPLIT_WORDS.keys()}
    others = sorted(first - SPLIT_WORDS.keys() - {""})
    if others and "train" in words and len(words) > 1:
        raise DataError(
            f"beside folders for {' and '.join(sorted(words))} there is {others[0]!r}, so that nothing says whether "
            "they are splits or classes; move it away, or into one of them."
        )
    given = first <= SPLIT_WORDS.keys() and "train" in words
    labels = []
    for path, parts in zip(paths, folders, strict=True):
        split = SPLIT_WORDS[parts[0].lower()] if given else None
        if pattern is not None and expression is not None:
            label, group = _match(path, expression, pattern)
        else:
            label, group = _folder(path, parts[1:] if given else parts, alone=not any(folders)), None
        labels.append(FileLabel(label, group, split))
    classes = {label.label for label in labels}
    if len(classes) == 1:
        raise DataError(f"all {len(paths)} files are of one class, {classes.pop()!r}; a classifier needs two at least.")
    return labels


def check_groups(**groups: object) -> dict[str, list[str]]:
    """Names of groups for each split, from the options `test_groups` and `validation_groups`.  Raises `OptionError`."""
    found = {}
    for option, names in groups.items():
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise OptionError(f"{option} must be a list of groups; got {names!r}.")
        found[option.removesuffix("_groups")] = [str(name) for name in names]
    return found


def give_groups(labels: Sequence[FileLabel], groups: Mapping[str, Sequence[str]]) -> list[FileLabel]:
    """The same, where `groups` says for a split which groups belong to it; all others are for training.

    Raises `OptionError` where the data has no such group, or its folders already say the split.
    """
    chosen = {group: split for split, names in groups.items() for group in names}
    if not chosen:
        return list(labels)
    known = {label.group for label in labels if label.group is not None}
    if not known:
        raise OptionError(f"groups were given to a split, but no {{group}} is in the pattern; {FORM}.")
    for group, split in chosen.items():
        if group not in known:
            raise OptionError(f"{split}_groups names {group!r}; the groups are {', '.join(sorted(known)[:20])}.")
    if any(label.split is not None for label in labels):
        raise OptionError("the folders of the data already say which files are for testing; do not name groups for it.")
    if sum(len(names) for names in groups.values()) > len(chosen):
        raise OptionError("a group is named twice among test_groups and validation_groups; name each once.")
    return [replace(label, split=chosen.get(str(label.group))) for label in labels]


def class_order(names: set[str]) -> tuple[str, ...]:
    """Classes in the order of their targets: whole numbers by value, anything else by letters."""
    if all(re.fullmatch(r"\d{1,18}", name, re.ASCII) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _shared_folders(paths: Sequence[PurePosixPath]) -> int:
    """How many leading folders all paths share: archives often wrap everything in one."""
    shortest, *_ = paths
    shared = len(shortest.parts) - 1
    for path in paths:
        limit = min(shared, len(path.parts) - 1)
        shared = next((i for i in range(limit) if path.parts[i] != shortest.parts[i]), limit)
    return shared


def _folder(path: PurePosixPath, folders: tuple[str, ...], *, alone: bool) -> str:
    if folders:
        return folders[0]
    if alone:
        raise DataError(
            f"all files lie in one folder ({path} for example), so there are no two classes; make a folder for each, "
            f"or set `pattern` to say where in a name its class stands ({FORM})."
        )
    raise DataError(f"{path} lies in no folder of a class; move it to one, or take it away.")


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression: each field takes as little as it can, and never a `/`."""
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    texts, fields = pieces[::2], pieces[1::2]
    if any(brace in text for text in texts for brace in "{}") or not all(field.isidentifier() for field in fields):
        raise OptionError(f"the pattern {pattern!r} is not one; {FORM}.")
    if fields.count(LABEL) != 1 or fields.count(GROUP) > 1:
        raise OptionError(f"the pattern {pattern!r} has the fields {', '.join(fields) or 'none'}; {FORM}.")
    if len(fields) > MOST_FIELDS:  # the search for a name that fits grows with a power of them
        raise OptionError(
            f"the pattern {pattern!r} has {len(fields)} fields, and at most {MOST_FIELDS} are allowed; {FORM}."
        )
    if any(not text for text in texts[1:-1]):
        raise OptionError(
            f"the pattern {pattern!r} has nothing between two fields, so no name says where the first ends."
        )
    result = re.escape(texts[0])
    for field, text in zip(fields, texts[1:], strict=True):
        name = f"?P<{field}>" if field in (LABEL, GROUP) else "?:"
        result += f"({name}[^/]+?){re.escape(text)}"
    return re.compile(result)


def _match(path: PurePosixPath, expression: re.Pattern[str], pattern: str) -> tuple[str, str | None]:
    """A pattern with `/` is held against as many folders as it names, one without against the name alone."""
    words = "/".join(path.with_suffix("").parts[-1 - pattern.count("/") :])
    found = expression.fullmatch(words)
    if found is None:
        raise DataError(
            f"the name {str(path)!r} does not fit the pattern {pattern!r}; rename it, or change the pattern."
        )
    fields = found.groupdict()
    return fields[LABEL], fields.get(GROUP)
