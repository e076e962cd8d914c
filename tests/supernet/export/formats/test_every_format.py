"""What holds for every format and every family: a format that is added is tested here without a new line."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from supernet.errors import UnknownName
from supernet.export.formats.registry import format_names, load_format
from supernet.export.parity import check_parity
from supernet.models.registry import family_names, load_builder
from supernet.tasks.task import predict
from tests.supernet.models.examples import TASKS
from tests.supernet.models.test_every_family import plain_space

if TYPE_CHECKING:
    from pathlib import Path

# How far logits of few bits may be from those of full precision, in standard deviations of these: random networks
# amplify rounding, so this only tells them from networks that compute something else.
_LOSS = 0.75


@cache
def trained(family: str) -> nn.Module:
    """A random network of the family, as shallow as there are: few layers are exported sooner.  Nobody changes it."""
    space = plain_space(family)
    depths = {name: (min(one.values),) for name, one in space.choices.items() if name.endswith("depth")}
    architecture = space.narrow(depths).sample_balanced(random.Random(2))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        module = load_builder(family, TASKS[family]())(architecture)
        for parameter in module.parameters():  # ones and zeros would hide mistakes
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module.eval()


def test_names_are_known_without_torch_and_unknown_ones_refused() -> None:
    code = (
        "import sys; from supernet.export.formats.registry import format_names as f; print(f(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{format_names()} False"
    with pytest.raises(UnknownName, match=r"no export format 'onxx'; known formats: onnx, .*source"):
        load_format("onxx")
    for name in format_names():
        found = load_format(name)
        assert found.name == name
        assert "\n" not in found.about
        assert isinstance(found.exact, bool)


@pytest.mark.slow
@pytest.mark.parametrize("family", family_names())
@pytest.mark.parametrize("name", [name for name in format_names() if name != "onnx"])  # see test_every_family
def test_a_format_computes_what_the_module_computes(name: str, family: str, tmp_path: Path) -> None:
    task, module, wanted = TASKS[family](), trained(family), load_format(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    refusal = wanted.refusal(module, task)
    if refusal is not None:
        assert name == "onnx-decode"
        assert family != "causal_lm"
        return
    written = wanted.write(module, task, tmp_path)
    assert sorted(written) == sorted(path.name for path in tmp_path.iterdir())
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert wanted.axes(tmp_path)[0] == "batch"
    run = wanted.open(tmp_path)
    inputs, _ = task.validation.read(slice(3))
    expected, actual = predict(module, inputs).numpy(), run(inputs.numpy())
    np.testing.assert_allclose(run(inputs[:1].numpy()), actual[:1], rtol=1e-4, atol=1e-4)
    if wanted.exact:
        check_parity(expected, actual, name)
    else:
        assert np.abs(expected - actual).mean() < _LOSS * expected.std()
