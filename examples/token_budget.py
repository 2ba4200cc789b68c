"""Keep to a budget of tokens: count, cut a text to fit, and leave out the oldest turns of a conversation."""

from __future__ import annotations

from harmony_py import Message, Role, Tokenizer, load_harmony_encoding

tokenizer = Tokenizer.o200k_harmony()
encoding = load_harmony_encoding()

document = "The ferry to the islands leaves at nine, at noon and at six. " * 40
print(f"The document has {tokenizer.count(document)} tokens.")
short = tokenizer.truncate(document, 20)  # never cuts a character in two
print(f"Its first {tokenizer.count(short)}: {short!r}")


def fitting(messages: list[Message], most: int) -> list[Message]:
    """`messages` without the oldest turns, so that the prompt has at most `most` tokens. The first message,
    which says what the assistant is to do, stays."""
    first, *rest = messages
    while rest and len(encoding.render_conversation_for_completion([first, *rest])) > most:
        turns = [at for at, message in enumerate(rest) if message.author.role is Role.USER]
        del rest[: turns[1] if len(turns) > 1 else len(rest)]
    return [first, *rest]


conversation = [Message.from_role_and_content(Role.DEVELOPER, "Answer questions about ferries.")]
for number in range(1, 31):
    question = Message.from_role_and_content(Role.USER, f"Question {number}: when does it leave?")
    answer = Message.from_role_and_content(Role.ASSISTANT, f"At {number % 12 + 1} o'clock.").with_channel(
        "final"
    )
    conversation += [question, answer]

kept = fitting(conversation, 200)
length = len(encoding.render_conversation_for_completion(kept))
print(f"{len(kept)} of {len(conversation)} messages make a prompt of {length} tokens.")
print(f"The oldest question left: {kept[1].text!r}")
