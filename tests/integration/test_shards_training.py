"""Shards feed a trainer: the example learns, and samples that share a row do not see each other."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harmony_py.engines.shards import Recipe, Row, make_shards, read_shards

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_on_shards.py"

torch.set_num_threads(1)


def test_the_example_learns() -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLE)]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert "4 conversations of 4 records, 0 errors, 0 cut" in ran.stdout
    losses = [float(loss) for loss in re.findall(r"epoch \d: loss ([\d.]+)", ran.stdout)]
    assert len(losses) == 3
    assert losses[2] < losses[1] < losses[0]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_on_shards", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_samples_that_share_a_row_do_not_see_each_other(example: ModuleType, tmp_path: Path) -> None:
    """The loss of packed rows is that of their samples one by one."""
    source = tmp_path / "in.jsonl"
    records = [example.conversation(number) for number in (1, 10**20, 3)]
    source.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    folders = [tmp_path / "packed", tmp_path / "alone"]
    for folder, length in zip(folders, (200, None), strict=True):
        make_shards([source], folder, Recipe(length=length, pack=length is not None))
    packed, alone = (list(read_shards(folder)) for folder in folders)
    assert [len(row.samples) for row in packed] == [3]
    assert len(alone) == 3
    model = example.tiny().eval()
    wanted = loss_of(model, alone, lambda positions: None)
    parted = loss_of(model, packed, lambda positions: example.masks(positions, model.config.sliding_window))
    assert parted == pytest.approx(wanted, rel=1e-5)
    # Positions alone do not part them: what the page and the example say of transformers.
    assert loss_of(model, packed, lambda positions: None) != pytest.approx(wanted, rel=1e-4)


@torch.no_grad()
def loss_of(model: Any, rows: list[Row], mask: Callable[[torch.Tensor], Any]) -> float:
    """The sum over all tokens that are trained on."""
    total = 0.0
    for row in rows:
        labels, positions = torch.tensor([row.labels()]), torch.tensor([row.positions()])
        ids = torch.tensor([list(row.ids)])
        answer = model(input_ids=ids, position_ids=positions, labels=labels, attention_mask=mask(positions))
        total += answer.loss.item() * int((labels[:, 1:] != -100).sum())
    return total
