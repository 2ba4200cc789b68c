"""Train on packed conversations: shards, a data set of their rows, and a few steps of a tiny random gpt-oss.

python examples/train_on_shards.py [folder for the shards]

Needs torch and transformers. The model learns nothing of use; what a trainer needs of a row is all here.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import GptOssConfig, GptOssForCausalLM

from harmony_py.engines.shards import Recipe, Row, make_shards, read_shards, summary
from harmony_py.tokenizer.special import N_VOCAB

LENGTH = 128


class Rows(Dataset[dict[str, torch.Tensor]]):
    """The rows of all shards: what the model sees, what it is to say, and where each sample begins."""

    def __init__(self, folder: Path) -> None:
        self._rows: list[Row] = list(read_shards(folder))  # views of mapped files: no memory to speak of

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = self._rows[index]
        return {
            "input_ids": torch.tensor(row.ids, dtype=torch.long),
            "labels": torch.tensor(row.labels()),  # the trainer, or the model, shifts them
            "position_ids": torch.tensor(row.positions()),  # they begin anew with each sample
        }


def masks(positions: torch.Tensor, window: int) -> dict[str, torch.Tensor]:
    """What each token may see: what is before it in its sample; in sliding layers only the last of that.

    transformers makes such masks from the positions for most models, but not for gpt-oss (5.24).
    """
    sample = (positions == 0).cumsum(-1)
    place = torch.arange(positions.shape[-1])
    distance = place[:, None] - place
    seen = (sample[:, None, :, None] == sample[:, None, None, :]) & (distance >= 0)
    hidden = {"full_attention": ~seen, "sliding_attention": ~seen | (distance >= window)}
    lowest = torch.finfo(torch.float32).min
    return {kind: torch.zeros(each.shape).masked_fill(each, lowest) for kind, each in hidden.items()}


def tiny() -> GptOssForCausalLM:
    config = GptOssConfig(
        vocab_size=N_VOCAB,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        num_local_experts=4,
        num_experts_per_tok=2,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    return GptOssForCausalLM(config)


def conversation(number: int) -> dict[str, object]:
    return {
        "messages": [
            {"role": "user", "content": f"What is {number} and {number}?"},
            {"role": "assistant", "channel": "analysis", "content": f"Twice {number}: that is easy."},
            {"role": "assistant", "channel": "final", "content": f"It is {2 * number}."},
        ]
    }


def main(folder: Path) -> None:
    source = folder / "conversations.jsonl"
    source.write_text("".join(json.dumps(conversation(number)) + "\n" for number in range(4)), "utf-8")
    print(summary(make_shards([source], folder / "shards", Recipe(length=LENGTH, pack=True))))
    model = tiny()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(3):
        total = 0.0
        for batch in DataLoader(Rows(folder / "shards"), batch_size=1):
            mask = masks(batch["position_ids"], model.config.sliding_window)
            loss = model(**batch, attention_mask=mask).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        print(f"epoch {epoch}: loss {total:.2f}")


if __name__ == "__main__":
    if sys.argv[1:]:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
