"""A training sample: which tokens the loss is on, and how to leave thoughts out of it."""

from __future__ import annotations

from harmony_py import Message, Role, load_harmony_encoding

encoding = load_harmony_encoding()


def said(role: Role, text: str, channel: str | None = None) -> Message:
    message = Message.from_role_and_content(role, text)
    return message.with_channel(channel) if channel else message


conversation = [
    said(Role.USER, "What is 2 + 2?"),
    said(Role.ASSISTANT, "A sum.", "analysis"),
    said(Role.ASSISTANT, "4", "final"),
]


def show(title: str, channels: set[str | None] | None) -> None:
    sample = encoding.render_detailed(conversation, training=True, loss_channels=channels)
    labels = [
        token if trained else -100 for token, trained in zip(sample.tokens, sample.loss_mask, strict=True)
    ]
    print(f"{title}: the loss is on {sum(sample.loss_mask)} of {len(labels)} tokens")
    for token, label in zip(sample.tokens, labels, strict=True):
        print(f"  {'*' if label != -100 else ' '} {token:>6} {encoding.decode([token])!r}")


if __name__ == "__main__":
    show("What the assistant wrote", None)
    show("Its answers alone", {"final"})
