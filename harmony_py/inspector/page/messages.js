// The messages that have come so far, as one list where both ways of parsing agree, else side by side.

const messages = {
  view: null,

  show(view) {
    this.view = view;
    $("panel-stream").classList.toggle("differs", !view.agree);
  },

  reach(position) {
    const { agree, strict, recover } = this.view;
    $("verdict").textContent = agree ? "strict and recover agree" : "strict and recover differ";
    const [one, other] = [replayed(strict, position), replayed(recover, position)];
    const shared = agree ? 0 : this.shared(one.messages, other.messages);
    const sides = agree
      ? [this.side("", other, 0)]
      : [this.side("Strict", one, shared), this.side("Recover", other, shared)];
    if (shared) sides.unshift(this.both(one.messages.slice(0, shared)));
    $("sides").replaceChildren(...sides);
    const newest = sides.at(-1).querySelectorAll("article");
    if (newest.length && position < recover.steps.length) showWithin($("sides").parentElement, newest[newest.length - 1]);
  },

  // How many of the first messages are complete and the same in both.
  shared(strict, recover) {
    const same = (message, index) => message.complete && JSON.stringify(message) === JSON.stringify(recover[index]);
    const first = strict.findIndex((message, index) => !same(message, index));
    return first < 0 ? strict.length : first;
  },

  both(found) {
    const items = found.map((message, index) => this.card(message, index));
    return el("div", { class: "side both", role: "region", "aria-label": "Both" }, el("h3", {}, "Both"), ...items);
  },

  // What one way of parsing has found, from the message `first` on.
  side(name, { messages: found, repairs, state, error }, first) {
    const items = found.slice(first).map((message, index) => this.card(message, first + index));
    if (!found.length && !error) items.push(el("p", { class: "quiet empty" }, `No message yet: ${state}.`));
    if (error) items.push(this.refusal(error));
    if (repairs.length) items.push(this.repairs(repairs));
    const head = name ? [el("h3", {}, name)] : [];
    return el("div", { class: "side", role: "region", "aria-label": name || "Messages" }, ...head, ...items);
  },

  card(message, index) {
    const meta = [message.channel, message.content_type].filter((field) => field !== null);
    return el(
      "article",
      { class: `card ${channelClass(message)}${message.complete ? "" : " open"}` },
      el(
        "header",
        {},
        el("b", {}, String(index)),
        el("span", { class: "who" }, ...visible(address(message))),
        ...meta.map((field) => el("span", { class: "channel" }, ...visible(field))),
        message.complete ? null : el("span", { class: "quiet" }, "…"),
      ),
      el("div", { class: "text", dir: "auto" }, ...visible(message.text)),
      this.arguments(message),
    );
  },

  arguments(message) {
    const found = message.arguments;
    if (!found) return null;
    if (found.problem === null) return el("p", { class: "check" }, "✓ arguments: a JSON object");
    return el(
      "p",
      { class: "check bad" },
      "✕ ",
      ...visible(found.problem),
      found.repaired === null ? el("span", {}, "; cannot be repaired") : el("span", {}, `; repaired (${found.repairs.join(", ")}): `),
      found.repaired === null ? null : el("code", {}, ...visible(found.repaired)),
    );
  },

  refusal({ reason, token, expected }) {
    const wanted = expected.flatMap((name, index) => [index ? " or " : " Expected: ", el("code", {}, name)]);
    return el(
      "div",
      { class: "refusal" },
      el("p", {}, el("b", { class: "bad" }, "✕ Refused"), " at ", this.link(token)),
      el("p", {}, ...visible(reason), ".", ...wanted),
    );
  },

  repairs(found) {
    return el(
      "div",
      { class: "repairs" },
      el("h4", {}, plural(found.length, "repair")),
      el(
        "ul",
        {},
        ...found.map(({ code, token, detail }) =>
          el("li", { title: DATA.codes[code] }, el("code", {}, code), " at ", this.link(token), detail ? ": " : null, ...visible(detail)),
        ),
      ),
    );
  },

  // A way to the token that something is about.
  link(token) {
    const name = token < this.view.tokens.length ? `token ${token}` : "the end";
    return el("button", { class: "link", onclick: () => tokens.focus(token) }, name);
  },
};
