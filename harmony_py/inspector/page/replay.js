// What a parser has made of the first tokens: its events, put together again.

// The messages, repairs and error of `parse` after `position` steps. A step is a token, the last one the end.
function replayed(parse, position) {
  const messages = [];
  const repairs = [];
  for (const events of parse.steps.slice(0, position)) {
    for (const event of events) {
      if (event.kind === "start") messages.push({ ...event, text: "", complete: false, arguments: null });
      else if (event.kind === "text") messages.at(-1).text += event.text;
      else if (event.kind === "end") Object.assign(messages.at(-1), { complete: true, arguments: event.arguments });
      else repairs.push(event);
    }
  }
  const refused = parse.error !== null && position > parse.steps.length;
  const state = parse.states[Math.min(position, parse.states.length - 1)];
  return { messages, repairs, state, error: refused ? parse.error : null };
}

// Who speaks to whom, as people say it.
function address(message) {
  const author = message.role === "tool" ? message.name : [message.role, message.name].filter(Boolean).join(":");
  return message.recipient ? `${author} → ${message.recipient}` : author;
}

// The class that colours a message: its channel, if it is one of the three.
function channelClass(message) {
  return ["analysis", "commentary", "final"].includes(message?.channel) ? message.channel : "other";
}
