"""The specification of a study: the one model behind the study file, Python and, later, the API.

Owns names, defaults, limits and messages.  Whether a task, a family or a bound exists or can be met is decided
when the study is validated, because that needs the packages below.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from runner.errors import NotFound, SpecError
from supernet.models.family import CONTEXT_TOKENS, LATENCY

MAX_FILE_BYTES = 1_000_000
MAX_WORKERS = 4096
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

# What an objective may be besides a task's own metrics: computed from structure, or measured on the device.
COMPUTED = ("parameters", "macs", "model_bytes", "peak_activation_bytes")
Goal = Literal["minimize", "maximize"]
_MAXIMIZED = ("accuracy",)  # every other metric that a task or a device gives is better when smaller

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Scalar = bool | int | float | str


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TaskSpec(BaseModel):
    """Which task; options of its own stand beside the name."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The task's own options."""
        return dict(self.model_extra or {})


class SpaceSpec(_Part):
    """Which family, and what its choices may be."""

    name: str
    choices: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)


class ObjectiveSpec(_Part):
    """Which way is better, hard limits, and for a latency what it is measured on."""

    goal: Goal | None = None  # None: the metric's own goal
    at_most: float | None = None
    at_least: float | None = None
    device: Literal["this-machine"] = "this-machine"
    batch: Count = 1
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    tokens: Count = CONTEXT_TOKENS  # of context, for metrics that grow with it


Weight = Annotated[float, Field(gt=0, le=1000)]


def _by_text(given: object) -> object:
    """Values of choices as they are written in the file: JSON, which records them, has no other keys than text."""
    if not isinstance(given, Mapping):
        return given
    return {str(key).lower() if isinstance(key, bool) else str(key): weight for key, weight in given.items()}


class TrainSpec(_Part):
    """How the supernet is trained.  What the names in it stand for is `runner.recipes`' business."""

    steps: Annotated[int, Field(ge=0, le=10_000_000)] = 1500  # 0: the pretrained weights as they are
    batch: Count = 128  # of one step, however it is divided
    recipe: Literal["sandwich", "multi", "all"] = "sandwich"
    random_subnets: Annotated[int, Field(ge=0, le=16)] = 2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 4e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.05
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the steps
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 where this machine is measured to gain from it
    distillation: Literal["inplace", "labels"] | None = None  # None: what suits the recipe
    teacher: Annotated[str, Field(pattern=NAME)] | None = None  # a name under which the operator registered a model
    pretrained: Annotated[str, Field(pattern=NAME)] | None = None  # a name under which weights are registered
    order: Literal["none", "magnitude", "activation", "gradient"] = "none"  # of pretrained units, by importance
    order_layers: bool = False  # rank the layers too
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    accumulate: Annotated[int, Field(ge=1, le=1024)] = 1  # parts of a batch that are computed one after another
    ranks: Annotated[int, Field(ge=1, le=1024)] = 1  # processes that share each batch; 1: this process, without Ray
    rank_threads: Annotated[int, Field(ge=1, le=1024)] = 1  # of each of several
    rank_gpus: Annotated[int, Field(ge=0, le=1)] = 0  # of each of several
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None  # decay of averaged weights
    widen: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)  # choices in their opening order
    # By choice (its last part or a pattern), then by value: how much oftener than the others it is drawn at random.
    sampling: dict[str, Annotated[dict[str, Weight], BeforeValidator(_by_text)]] = Field(default_factory=dict)

    def contradiction(self) -> str | None:
        """What in these settings has no meaning beside the others, or None."""
        if self.pretrained is None:
            if self.steps == 0:
                return "train.steps: 0 keeps the weights as they begin; that needs train.pretrained, or train them"
            if self.order != "none" or self.order_layers:
                return "train.order and train.order_layers put pretrained weights in order; give train.pretrained"
        if self.order_layers and self.order == "none":
            return "train.order_layers: layers are ranked by the same importance as units; give train.order"
        if self.steps == 0:
            usual = TrainSpec()
            for name in type(self).model_fields:
                if name not in _WITHOUT_STEPS and getattr(self, name) != getattr(usual, name):
                    return f"train.{name}: with train.steps 0 nothing is trained; leave it out"
        return None


# What is asked for also where nothing is trained: how large the batches are from which running statistics come, and in
# which precision points are retrained.
_WITHOUT_STEPS = ("steps", "batch", "precision", "pretrained", "order", "order_layers")


def _workers(given: object) -> object:
    """One message for the whole union."""
    if given in ("auto", "serial") or (type(given) is int and 1 <= given <= MAX_WORKERS):
        return given
    raise ValueError(f"input should be 'auto', 'serial' or a whole number from 1 to {MAX_WORKERS}")


class SearchSpec(_Part):
    """How the space is searched."""

    algorithm: str = "surrogate"
    evaluations: Count = 120
    measured_latencies: Annotated[int, Field(ge=8)] = 24
    # "auto": one a core that this process may use; "serial": no other process.
    workers: Annotated[Literal["auto", "serial"] | int, BeforeValidator(_workers)] = "auto"
    time_limit_s: Annotated[float, Field(gt=0)] = 600.0  # of one evaluation on a worker


# Teachers of retrained points that are no names of registered models.
LARGEST, NOBODY = "largest", "none"


class RetrainSpec(_Part):
    """Which points of the front are retrained: for how long, beginning with what, and taught by whom."""

    points: list[str] = Field(default_factory=lambda: ["knee"], max_length=64)
    start: Literal["inherited", "scratch"] = "inherited"
    # The largest subnet, nobody, or a name under which the operator registered a model.
    teacher: Annotated[str, Field(pattern=NAME)] = LARGEST
    steps: Count = 600
    batch: Count = 128
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.05
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the steps
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None  # decay of averaged weights
    trials: Annotated[int, Field(ge=1, le=64)] = 4  # the settings above first, the others drawn around them


class ExportSpec(_Part):
    """Which files a chosen architecture becomes."""

    # `runner.formats` knows which there are; "onnx" is written whatever else is asked for.
    formats: Annotated[list[Annotated[str, Field(pattern=NAME)]], Field(min_length=1, max_length=32)] = ["onnx"]


class StudySpec(_Part):
    """A search study.  `load_study` reads one from a file with readable errors."""

    name: Annotated[str, Field(pattern=NAME)]
    task: TaskSpec
    space: SpaceSpec
    objectives: dict[str, ObjectiveSpec] = Field(min_length=1, max_length=6)
    train: TrainSpec = Field(default_factory=TrainSpec)
    search: SearchSpec = Field(default_factory=SearchSpec)
    retrain: RetrainSpec = Field(default_factory=RetrainSpec)
    export: ExportSpec = Field(default_factory=ExportSpec)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, objective in self.objectives.items():
            if not is_latency(name) and (objective.batch, objective.threads) != (1, 1):
                raise ValueError(
                    f"objectives.{name}: batch and threads have a meaning for latencies only; leave them out"
                )
            low, high = objective.at_least, objective.at_most
            if low is not None and high is not None and low > high:
                raise ValueError(f"objectives.{name}: at_least {low:g} is above at_most {high:g}; swap them")
        if self.search.measured_latencies > self.search.evaluations:
            raise ValueError(
                f"search.measured_latencies ({self.search.measured_latencies}) is part of search.evaluations "
                f"({self.search.evaluations}) and cannot exceed it; lower the one or raise the other"
            )
        contradiction = self.train.contradiction()
        if contradiction is not None:
            raise ValueError(contradiction)
        return self

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any setting but the name."""
        content = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def goals(self) -> dict[str, Goal]:
        """Which way each objective is better."""
        return {name: objective.goal or goal_of(name) for name, objective in self.objectives.items()}

    @property
    def bounds(self) -> dict[str, tuple[float | None, float | None]]:
        """The hard limits: (at least, at most) for each objective that has one."""
        return {
            name: (objective.at_least, objective.at_most)
            for name, objective in self.objectives.items()
            if objective.at_least is not None or objective.at_most is not None
        }

    @property
    def latencies(self) -> dict[str, ObjectiveSpec]:
        """The settings of the latency objectives."""
        return {name: objective for name, objective in self.objectives.items() if is_latency(name)}


def is_latency(metric: str) -> bool:
    """Whether a metric is measured on a device, in milliseconds."""
    return metric.endswith(LATENCY)


def is_cost(metric: str) -> bool:
    """Whether a metric is what an architecture costs, not how well it does its task."""
    return is_latency(metric) or metric in COMPUTED or metric.endswith("_bytes")


def goal_of(metric: str) -> Goal:
    """Which way a metric is better if a study does not say."""
    return "maximize" if metric in _MAXIMIZED else "minimize"


def recorded_spec(text: str, name: str) -> StudySpec:
    """The specification of a recorded study.  Raises `SpecError` if another version wrote it."""
    try:
        return StudySpec.model_validate_json(text)
    except ValidationError:
        raise SpecError(
            f"the specification of the study {name!r} was written by another version of Supernaut and has settings "
            "that this one does not know; use that version, or upgrade this one."
        ) from None


def load_study(path: Path) -> StudySpec:
    """Read a study file, YAML or JSON.  Raises `NotFound` or `SpecError`, which lists everything that is wrong."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SpecError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; this is no study file.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"there is no file {path}; examples/digits.yaml in the repository is a study to start from."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} cannot be read as text: {error}.") from error
    return parse_study(_parse_yaml(text, path), str(path))


def parse_study(data: object, origin: str) -> StudySpec:
    """A specification from plain data.  Raises `SpecError`; `origin` says in its message where the data came from."""
    if not isinstance(data, Mapping):
        raise SpecError(
            f"{origin} must hold fields such as name, task, space and objectives, got {type(data).__name__}."
        )
    try:
        return StudySpec.model_validate(data)
    except ValidationError as error:
        problems = dict.fromkeys(_explain(dict(problem)) for problem in error.errors(include_url=False))
        raise SpecError("\n".join([f"{origin} is not a valid study:", *(f"  {p}" for p in problems)])) from None


def write_study(document: object) -> str:
    """A study file that says what plain data say, its fields in the order in which they are documented."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Escapes Unicode's own line breaks, which a quoted text otherwise keeps and its reader folds into a space."""

        def represent_str(self, data: str) -> Any:
            style = '"' if any(broken in data for broken in "\x85\u2028\u2029") else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, Dumper.represent_str)
    # What holds no list or mapping goes into one line, as people write it.
    written: str = yaml.dump(
        _ordered(document, StudySpec),
        Dumper=Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=110,
    )
    return written


def _ordered(document: object, part: type[BaseModel]) -> object:
    if not isinstance(document, Mapping):
        return document
    places = {name: place for place, name in enumerate(part.model_fields)}
    ordered = {}
    for name in sorted(document, key=lambda name: places.get(name, len(places))):
        field = part.model_fields.get(name)
        below = None if field is None else field.annotation
        is_part = isinstance(below, type) and issubclass(below, BaseModel)
        ordered[name] = _ordered(document[name], below) if is_part else document[name]  # type: ignore[arg-type]
    return ordered


def read_value(text: str, what: str) -> object:
    """A value as it would stand in a study file: `[2, 4]`, `true`, `3e-4`.  Raises `SpecError`, naming `what`."""
    return _parse_yaml(text, what)


def _parse_yaml(text: str, path: Path | str) -> object:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses duplicate keys, which YAML would silently drop, and anchors, which can grow without limit."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise SpecError(f"{path} uses a YAML alias (*name); write the value out.")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[object] = set()
            for written, _ in node.value:
                key = self.construct_object(written, deep=True)
                if not isinstance(key, Hashable):
                    break  # said below
                if key in seen:
                    raise SpecError(f"{path} has the field {key!r} twice (line {node.start_mark.line + 1}).")
                seen.add(key)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except SpecError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # the latter two: dates that do not exist, nesting
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise SpecError(f"{path} is not valid YAML{line}: {getattr(error, 'problem', None) or error}.") from error


_SCALARS = ("bool", "int", "float", "str")


def _explain(problem: dict[str, Any]) -> str:
    """One line for one of pydantic's errors: field, what is wrong, what is allowed."""
    # A union adds the tried type's name to the location, and fails once for each; a person knows only fields.
    parts = [str(part) for part in problem["loc"]]
    location = [part for part in parts if part not in _SCALARS and not part.startswith(("list[", "literal["))]
    field = ".".join(location)
    given = problem.get("input")
    if problem["type"] == "extra_forbidden":
        known = _fields_at(location[:-1])
        near = get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f" did you mean {near[0]!r}?" if near else ""
        return f"{field}: there is no such field;{hint} allowed: {', '.join(known)}."
    if problem["type"] == "missing":
        return f"{field}: this field is required."
    message = str(problem["msg"]).removeprefix("Value error, ")
    if location != parts and location[:2] == ["space", "choices"]:
        message = "must be a value or a list of values"
    if problem["type"] == "string_pattern_mismatch":
        message = "use letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit"
    if not field:
        return f"{message}."
    return f"{field}: {message[0].lower()}{message[1:]}, got {given!r}."


def _fields_at(location: list[str]) -> list[str]:
    """The fields that the part of the specification at `location` has."""
    part: type[BaseModel] = StudySpec
    for name in location:
        if part is StudySpec and name == "objectives":
            part = ObjectiveSpec
        elif name in part.model_fields:
            annotation = part.model_fields[name].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                part = annotation
    return list(part.model_fields)
