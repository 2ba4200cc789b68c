"""From a conversation to a prompt, and from what a model answers to messages for the next prompt."""

from __future__ import annotations

from harmony_py import DeveloperContent, Message, Role, SystemContent, load_harmony_encoding

encoding = load_harmony_encoding()

messages = [
    Message.from_role_and_content(Role.SYSTEM, SystemContent.new().with_reasoning_effort("low")),
    Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_instructions("Be brief.")),
    Message.from_role_and_content(Role.USER, "What is 2 + 2?"),
]
prompt = encoding.render_conversation_for_completion(messages)
print(f"Give an engine these {len(prompt)} ids, {prompt[:5]} ..., which say:\n{encoding.decode(prompt)}\n")
print(f"It stops at one of {encoding.stop_tokens_for_assistant_actions()}.")

# What an engine would sample.
sampled = encoding.encode(
    "<|channel|>analysis<|message|>A sum.<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>",
    allowed_special="all",
)
answer = encoding.parse(sampled, "assistant").messages
for message in answer:
    print(f"{message.channel}: {message.text}")

# The thought is left out once the user speaks again, and <|return|> becomes <|end|>.
messages += [*answer, Message.from_role_and_content(Role.USER, "And 3 + 3?")]
longer = encoding.decode(encoding.render_conversation_for_completion(messages))
print(f"\nThe next prompt ends in:\n...{longer[-115:]}")
