"""The Python file of a network: imports, definitions, the network with its sizes, and the reading of its weights."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from supernet.errors import ExportError
from supernet.export.source.definitions import PART
from supernet.export.source.network import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

_IMPORTS = (
    "import json",
    "import math",
    "from pathlib import Path",
    "import torch",
    "from torch import Tensor",
    "from torch import nn",
)
_RESERVED = ("network", "load", "read_weights", "having", PART)

_HEAD = '''"""A {name}, found and trained by Supernaut.  Needs torch and {weights}, and nothing else.

    from model import load

    logits = load()(inputs)  # {inputs} of shape ({shape})

First the code that computes; then `network`, with every layer and its sizes; then the reading of the weights.
"""

from __future__ import annotations

{imports}


class {part}(nn.Module):
    """A module of given parts: submodules, parameters, tables and settings."""

    def __init__(self, **parts: object) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)


def having(module: nn.Module, **settings: object) -> nn.Module:
    """A layer of torch with settings of its own."""
    for name, setting in settings.items():
        setattr(module, name, setting)
    return module


{definitions}


# This network


def network() -> nn.Module:
    """The layers and their sizes; the values come from {weights}."""
    made = {expression}
{ties}    return made


KINDS = {{
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "I8": torch.int8,
    "BOOL": torch.bool,
}}


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name: the length of a header, the header as JSON, and the values."""
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    tensors = {{}}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = content[start + first : start + last]
        kind = KINDS[entry["dtype"]]
        flat = torch.frombuffer(values, dtype=kind) if values else torch.empty(0, dtype=kind)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def load(folder: Path = Path(__file__).parent) -> nn.Module:
    """The trained network, ready to be used."""
    made = network()
    state = made.state_dict()
    missing = {{tensor.data_ptr() for tensor in state.values()}}
    with torch.no_grad():
        for name, values in read_weights(folder / "{weights}").items():
            state[name].copy_(values)
            missing.discard(state[name].data_ptr())
    if missing:
        raise ValueError(f"{{folder / '{weights}'}} lacks {{len(missing)}} tensors of this network.")
    return made.eval()


if __name__ == "__main__":
    print(load())
'''

_READS = {
    "image": "float32 images",
    "tokens": "int64 identifiers",
    "audio": "float32 features over time",
    "features": "float32 features",
}


def written(module: nn.Module, *, kind: str, shape: Sequence[int], weights: str) -> str:
    """The text of a file that rebuilds `module`, whose values lie in the file `weights` beside it.

    Raises `ExportError` where some part of the module cannot be written out.
    """
    made, definitions = described(module)
    for name in _RESERVED:
        if definitions.holds(name):
            raise ExportError(f"{name} is a name of the written file; rename what the network's own code calls so.")
    imports = sorted({*_IMPORTS, *definitions.imports()}, key=lambda line: (line.startswith("from"), line))
    return _HEAD.format(
        name=type(module).__name__,
        weights=weights,
        inputs=_READS[kind],
        shape=", ".join(["batch", *map(str, shape)]),
        imports="\n".join(imports),
        part=PART,
        definitions=definitions.text(),
        expression=textwrap.indent(made, "    ").lstrip(),
        ties="".join(f"    {line}\n" for line in _ties(module)),
    )


def _ties(module: nn.Module) -> list[str]:
    """Statements that let parameters of several names be one again."""
    first: dict[int, str] = {}
    lines = []
    for name, parameter in module.named_parameters(remove_duplicate=False):
        known = first.setdefault(id(parameter), name)
        if known != name:
            path, _, last = name.rpartition(".")
            lines.append(f'made.get_submodule("{path}").{last} = made.get_parameter("{known}")')
    return lines
