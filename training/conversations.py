"""What the toy is taught: conversations made from templates, as tokens and what the loss is on.

Names and other things to copy are drawn from the whole vocabulary, so that copying is learned and names are
not. Efforts differ in how long the analysis is: at low effort there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from harmony_py import (
    Author,
    DeveloperContent,
    Message,
    RenderConfig,
    Role,
    SystemContent,
    ToolDescription,
    load_harmony_encoding,
)
from training.names import KNOWN_CITIES, SKIES

if TYPE_CHECKING:
    import random

    from training.names import Names

EFFORTS = ("low", "medium", "high")
HISTORY_STYLES = ("channel_first", "role_first")
"""How others may render the calls of a conversation; the toy itself writes the first."""

WEATHER = ToolDescription.new(
    "get_weather",
    "Tells the weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)

GREETING = "Hello! Ask me about the weather, a small sum, or your name."
WHO = "A toy: a tiny model that speaks harmony."
WELCOME = "My pleasure."
UNKNOWN = "Sorry, all I know is the weather, small sums and your name."
NO_TOOL = "There is no tool for the weather here."
FAILED = "That did not work."
WHICH_CITY = "In which city?"
NO_NAME = "You have not told me your name."


class Sample(NamedTuple):
    tokens: list[int]
    loss: list[bool]
    """Whether the loss is on this token, given those before it."""


class Turn(NamedTuple):
    """A user's message and everything that the assistant makes of it, tools included."""

    question: str
    messages: list[Message]


class Situation(NamedTuple):
    """What an answer depends on besides the question."""

    effort: str
    has_tool: bool
    name: str | None


def sample(random: random.Random, names: Names, turns: int, *, bare: bool = False) -> Sample:
    """A conversation of so many turns. A bare one is short: its opening names the effort alone."""
    effort = random.choice(EFFORTS)
    has_tool = bare or random.random() < 0.88
    name: str | None = None
    messages = [bare_system(effort)] if bare else opening(random, names, effort, has_tool)
    if not bare and random.random() < 0.08:  # who says nothing gets what is usual
        effort, has_tool, messages = "medium", False, []
    for _ in range(turns):
        if random.random() < 0.15:
            name = names.draw(random)
            turn = introduction(random, effort, name)
        else:
            turn = some_turn(random, names, Situation(effort, has_tool, name))
        last = len(messages)
        messages += [user(turn.question), *turn.messages]
    return rendered(messages, last, effort, random.choice(HISTORY_STYLES))


def rendered(messages: list[Message], last: int, effort: str, style: str) -> Sample:
    """The tokens as the prompt of the turn that begins at message `last`, and that turn, are written.

    Old thoughts are gone from them, so that headers count only in the last turn, or where there are no
    thoughts; nor does a header count that is written as the toy should not write it.
    """
    config = RenderConfig(header_style=style)  # type: ignore[arg-type]
    found = load_harmony_encoding().render_detailed(messages, training=True, config=config)
    loss = list(found.loss_mask)
    for span in found.spans:
        index = span.message or 0
        if not _counts(span.part, messages[index], index >= last, effort, style):
            loss[span.start : span.end] = [False] * (span.end - span.start)
    return Sample(found.tokens, loss)


def _counts(part: str, message: Message, is_new: bool, effort: str, style: str) -> bool:
    """Whether a part of a message is what the toy should write there."""
    if part == "header":
        return (is_new or effort == "low") and (style == "channel_first" or message.recipient is None)
    # In an old answer `<|end|>` stands where `<|return|>` was sampled.
    return part == "content" or is_new or message.channel != "final"


# -- messages ----------------------------------------------------------------------------------------------


def user(text: str) -> Message:
    return Message.from_role_and_content(Role.USER, text)


def thought(text: str) -> Message:
    return Message.from_role_and_content(Role.ASSISTANT, text).with_channel("analysis")


def answer(text: str) -> Message:
    return Message.from_role_and_content(Role.ASSISTANT, text).with_channel("final")


def call(city: str) -> Message:
    message = Message.from_role_and_content(Role.ASSISTANT, '{"city": "' + city + '"}').with_channel(
        "commentary"
    )
    return message.with_recipient("functions.get_weather").with_content_type("<|constrain|>json")


def result(text: str) -> Message:
    message = Message.from_author_and_content(Author.new(Role.TOOL, "functions.get_weather"), text)
    return message.with_channel("commentary").with_recipient("assistant")


def bare_system(effort: str) -> Message:
    content = SystemContent(model_identity=None, knowledge_cutoff=None, channel_config=None)
    return Message.from_role_and_content(Role.SYSTEM, content.with_reasoning_effort(effort))


def opening(random: random.Random, names: Names, effort: str, has_tool: bool) -> list[Message]:
    """The system's and the developer's messages, with anything in them that the toy should not mind."""
    system = SystemContent.new().with_reasoning_effort(effort)
    if random.random() < 0.5:
        system = system.with_conversation_start_date(
            f"202{random.randrange(10)}-{random.randint(1, 12):02}-15"
        )
    if random.random() < 0.2:
        system = system.with_model_identity(f"You are {names.draw(random)}.")
    messages = [Message.from_role_and_content(Role.SYSTEM, system)]
    developer = DeveloperContent.new()
    if random.random() < 0.4:
        instructions = names.noise(random, random.randint(3, 12))
        developer = developer.with_instructions(random.choice(["Be brief.", instructions]))
    if has_tool:
        developer = developer.with_function_tools([WEATHER])
    if has_tool or developer.instructions:
        messages.append(Message.from_role_and_content(Role.DEVELOPER, developer))
    return messages


# -- turns -------------------------------------------------------------------------------------------------


def some_turn(random: random.Random, names: Names, situation: Situation) -> Turn:
    recalls = 1 if situation.name is None else 6
    kinds = [*[weather] * 4, which_city, *[total] * 3, *[unknown] * 2, social, *[recall] * recalls]
    return random.choice(kinds)(random, names, situation)


def plain(question: str, effort: str, medium: str, high: str, text: str) -> Turn:
    """An answer with the thoughts that belong to the effort."""
    thoughts = {"low": [], "medium": [thought(medium)], "high": [thought(f"{medium} {high}")]}
    return Turn(question, [*thoughts[effort], answer(text)])


WEATHER_QUESTIONS = (
    "What is the weather in {}?",
    "What's the weather in {}?",
    "What is the weather like in {}?",
    "What's the weather like in {} today?",
    "How is the weather in {}?",
    "How's the weather in {} right now?",
    "Is it raining in {}?",
    "Is it cold in {}?",
    "Will it rain in {} today?",
    "Tell me the weather in {}.",
    "The weather in {}, please.",
    "Weather in {}",
    "what is the weather in {}",
    "And in {}?",
    "In {}, please.",
)


def weather(random: random.Random, names: Names, situation: Situation) -> Turn:
    city = names.draw(random, KNOWN_CITIES)
    question = random.choice(WEATHER_QUESTIONS).format(city)
    if not situation.has_tool:
        return plain(question, situation.effort, "There is no tool.", "I have to say so.", NO_TOOL)
    degrees = str(random.randint(-20, 45))
    sky = random.choice(SKIES) if random.random() < 0.7 else names.word(random)
    chance = random.random()
    if chance < 0.1:
        said = f'{{"error": "{names.noise(random, random.randint(1, 8))}"}}'
        return weather_turn(question, situation.effort, city, None, said)
    said = f"{degrees} degrees and {sky}" if chance < 0.2 else f'{{"degrees": {degrees}, "sky": "{sky}"}}'
    return weather_turn(question, situation.effort, city, f"{degrees} degrees and {sky}", said)


def weather_turn(question: str, effort: str, city: str, report: str | None, said: str) -> Turn:
    """A question that takes the tool to answer, all of it: what the tool says, and what is made of it."""
    reason = f"I should look up the weather in {city}."
    wish = f"The user wants to know the weather in {city}. I do not know it, but there is a tool for it."
    before = {"low": [], "medium": [thought(reason)], "high": [thought(f"{wish} {reason}")]}
    asked = [*before[effort], call(city), result(said)]
    if report is None:
        return Turn(question, [*asked, answer(FAILED)])
    after = [thought(f"It is {report}.")] if effort == "high" else []
    return Turn(question, [*asked, *after, answer(f"It is {report} in {city}.")])


def total(random: random.Random, names: Names, situation: Situation) -> Turn:
    a, b = random.randrange(6), random.randrange(6)
    question = random.choice(
        ["What is {} + {}?", "{} + {}", "How much is {} + {}?", "What's {} + {}?"]
    ).format(a, b)
    return plain(question, situation.effort, "This is a sum.", f"It is {a + b}.", f"{a} + {b} = {a + b}.")


def which_city(random: random.Random, names: Names, situation: Situation) -> Turn:
    questions = [
        "What is the weather?",
        "How is the weather today?",
        "What's the weather like?",
        "Is it raining?",
    ]
    return plain(random.choice(questions), situation.effort, "No city.", "I should ask for one.", WHICH_CITY)


UNKNOWN_QUESTIONS = (
    "{}?",
    "{}.",
    "{}",
    "What is {}?",
    "What is the {} of {}?",
    "What is a {}?",
    "Why is the {} so {}?",
    "Why do {}?",
    "Who was {}?",
    "Who wrote the {}?",
    "How do I {} the {}?",
    "How many {} are in a {}?",
    "Tell me about {}.",
    "Tell me a {}.",
    "Write a {} about {}.",
    "Can you {}?",
    "Where is {}?",
    "When was the {} of {}?",
    "Is {} a {}?",
)


def unknown(random: random.Random, names: Names, situation: Situation) -> Turn:
    template = random.choice(UNKNOWN_QUESTIONS)
    question = template.format(*(names.noise(random, random.randint(1, 4)) for _ in range(2)))
    return unknown_turn(question, situation.effort)


def unknown_turn(question: str, effort: str) -> Turn:
    return plain(question, effort, "I do not know this.", "I have to say so.", UNKNOWN)


SMALL_TALK = (
    (
        ("Hello!", "Hi", "Hello", "Hi there!", "Good morning!", "Hey"),
        "A greeting.",
        "I should greet back.",
        GREETING,
    ),
    (
        ("Who are you?", "What are you?", "What is your name?", "Are you a robot?"),
        "They ask who I am.",
        "I should be honest.",
        WHO,
    ),
    (
        ("Thanks!", "Thank you.", "Thank you very much!", "Great, thanks."),
        "They thank me.",
        "I should be polite.",
        WELCOME,
    ),
)


def social(random: random.Random, names: Names, situation: Situation) -> Turn:
    questions, medium, high, text = random.choice(SMALL_TALK)
    return plain(random.choice(questions), situation.effort, medium, high, text)


def introduction(random: random.Random, effort: str, name: str) -> Turn:
    question = random.choice(
        ["My name is {}.", "Hello, my name is {}.", "Hi! My name is {}", "my name is {}"]
    )
    return plain(
        question.format(name),
        effort,
        "They tell me their name.",
        f"It is {name}.",
        f"Nice to meet you, {name}!",
    )


def recall(random: random.Random, names: Names, situation: Situation) -> Turn:
    question = random.choice(["What is my name?", "What's my name?", "Do you remember my name?", "Who am I?"])
    text = NO_NAME if situation.name is None else f"Your name is {situation.name}."
    high = "They have not told me." if situation.name is None else f"It is {situation.name}."
    return plain(question, situation.effort, "They ask for their name.", high, text)
