"""The README.md of a bundle: what the manifest says, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces import Architecture
from supernet.export.card import Number, architecture_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROVENANCES = ("inherited", "retrained", "exported")  # of scores, in the order of a study

_ROUNDING = """Layers of 8 bits round their inputs with one range for the whole batch, so that an answer depends a
little on its batch.  All scores here were measured one sample at a time."""

_KINDS = {
    "image": "an image (channels, height, width)",
    "tokens": "a sequence of token identifiers",
    "audio": "a recording (features, frames)",
    "features": "a vector of features",
}


def model_card(manifest: Mapping[str, Any], config: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """The text, from the manifest as far as it is known (its list of files aside), config.json and what files are."""
    architecture = Architecture(manifest["architecture"]["answers"])
    numbers = [Number(**number) for number in manifest["numbers"]]
    study, task, inputs = manifest["study"], manifest["task"], config["inputs"]
    shape = ", ".join(map(str, inputs["shape"]))
    parts = [
        f"# {study['name']}: {architecture.digest}",
        f"Found and trained by Supernaut in the study `{study['name']}` (seed {study['seed']}) for the task "
        f"`{task['name']}`, whose data has the SHA-256\n`{task['sha256']}`.",
        f"""## Run it

The model is `model.onnx`; it needs ONNX Runtime and NumPy, nothing of Supernaut:

```python
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
inputs = np.load("sample_inputs.npy")  # (any batch, {shape}), {inputs["type"]}
logits = session.run(None, {{"input": inputs}})[0]
print(logits.argmax(-1))
```

or `python predict.py sample`, `python predict.py inputs.npy`.  One input is {_KINDS[inputs["kind"]]} of shape
({shape}) and type {inputs["type"]}, prepared as the task prepares its data: `sample_inputs.npy` holds real ones.
{_classes(config)}""",
        f"## Scores\n\n{_scores(numbers)}\n\n"
        "`inherited` was measured with the supernet's shared weights, `retrained` after training alone, `exported` on "
        "`model.onnx`\nin ONNX Runtime.  Scores on the test split were measured once, on the files in this folder.",
        f"## Costs and latency\n\n{_costs(numbers, manifest['device'])}",
        f"## Formats\n\n{_formats(manifest, numbers)}",
        _ROUNDING if any(entry["rounds_inputs"] for entry in manifest["formats"].values()) else "",
        "## Architecture `{}`\n\n```\n{}\n```".format(
            architecture.digest, "\n".join(["input", *architecture_lines(architecture), "logits"])
        ),
        f"## How it was retrained\n\n{_recipe(manifest['recipe'])}",
        "## Check it, make it again\n\n"
        "`supernaut verify .` checks every file against `manifest.json` and the models against what PyTorch computed;\n"
        "`supernaut reproduce .` trains it again from the specification, the recipe and the seed in `manifest.json`.",
        "## Files\n\n" + "\n".join(f"- `{name}`: {purpose}" for name, purpose in files.items()),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _classes(config: Mapping[str, Any]) -> str:
    names = config["class_names"]
    if not names:
        return f"It knows {config['classes']} classes, numbered from 0."
    shown = ", ".join(f"{number} {_cell(name)}" for number, name in enumerate(names[:20]))
    return f"Its classes: {shown}{' and so on (config.json)' if len(names) > 20 else ''}."


def _scores(numbers: Sequence[Number]) -> str:
    """Each score once a line, by provenance side by side."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for number in numbers:
        if number.split is not None and number.format in (None, "onnx"):
            rows.setdefault((number.metric, number.split), {})[number.provenance] = number.text
    cells = [[metric, split, *(row.get(p, "") for p in _PROVENANCES)] for (metric, split), row in rows.items()]
    return _table(["score", "split", *_PROVENANCES], cells)


def _costs(numbers: Sequence[Number], device: Mapping[str, Any]) -> str:
    cells = [
        [n.metric, n.text, n.provenance, n.device or ""]
        for n in numbers
        if n.split is None and n.format in (None, "onnx")
    ]
    known = ", ".join(f"{name} {_plain(device[name])}" for name in ("processor", "cores", "system") if name in device)
    measured = f"\n\nDevice `{device['id']}`: {known}.  Brackets hold 90 % intervals." if "id" in device else ""
    return _table(["what", "value", "provenance", "device"], cells) + measured


def _formats(manifest: Mapping[str, Any], numbers: Sequence[Number]) -> str:
    """Each format with its size, what it reads and what was measured on it; why others were left out."""
    rows = []
    for name, entry in manifest["formats"].items():
        own = [number for number in numbers if number.format == name]
        told = [
            f"{n.metric} {n.text}" + (f" ({n.split})" if n.split else "")
            for n in own
            if n.split == "test" or n.metric.endswith("_ms")
        ]
        files = ", ".join(f"`{file}`" for file in entry["files"])
        axes = f"({', '.join(map(str, entry['axes']))})"
        rows.append([name, files, f"{entry['bytes']:,}", axes, "; ".join(told), entry["about"]])
    left_out = [f"Not written as `{name}`: {_cell(reason)}." for name, reason in manifest["left_out"].items()]
    table = _table(["format", "files", "bytes", "inputs", "measured on it", "what it is"], rows)
    return "\n\n".join([table, *left_out])


def _recipe(recipe: Mapping[str, Any]) -> str:
    rows = [[name, _plain(value)] for name, value in recipe.items() if name != "trials"]
    told = _table(["setting", "value"], rows) if rows else "No recipe was recorded."
    trials = recipe.get("trials")
    if not trials:
        return told
    names = list(dict.fromkeys(name for trial in trials for name in trial if trial[name] is not None))
    cells = [[str(index), *(_plain(trial.get(name)) for name in names)] for index, trial in enumerate(trials)]
    return f"{told}\n\nTrials, of which the best one counts:\n\n{_table(['trial', *names], cells)}"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text that stays in its cell, whatever a task, a class or a device is called."""
    return " ".join(text.split()).replace("|", "\\|")
