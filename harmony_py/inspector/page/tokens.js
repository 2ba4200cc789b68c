// The tokens as a list of options, in a group for each message, and the one that is looked at in detail.

const tokens = {
  view: null,
  allowed: null, // what a mask says; it comes later
  chips: [],
  focused: 0,
  shown: 0,

  show(view) {
    this.view = view;
    this.allowed = null;
    const found = replayed(view.recover, view.recover.steps.length).messages;
    this.chips = view.tokens.map((token, index) => this.chip(token, index, found[token.message]));
    const groups = this.grouped(found);
    const end = el("span", { class: "chip end", role: "option", tabindex: -1, "data-index": this.chips.length }, "end of stream");
    this.chips.push(end);
    groups.push(el("div", { class: "group last", role: "group", "aria-label": "End" }, end));
    if (view.role) groups.unshift(el("span", { class: "label" }, `behind a prompt's <|start|>${view.role}`));
    $("tokens").replaceChildren(...groups);
    $("count").textContent = plural(view.tokens.length, "token");
    this.mark();
    // What is of interest: what was changed, or where strict stops; unless something is looked at already.
    this.focus(view.done?.spans[0]?.[0] ?? (this.focused || (view.strict.error?.token ?? 0)), false);
  },

  // The chips in a group for each message, and for each run of noise.
  grouped(found) {
    const groups = [];
    let open = null;
    this.view.tokens.forEach((token, index) => {
      const key = token.part === "noise" ? "noise" : String(token.message);
      if (key !== open) groups.push(this.group(key, found[token.message]));
      open = key;
      groups.at(-1).append(this.chips[index]);
    });
    return groups;
  },

  group(key, message) {
    const name = key === "noise" ? "noise: in no message" : message ? address(message) : "a header still open";
    const label = el("span", { class: "label" }, ...(message ? [el("b", {}, key), " "] : []), ...visible(name));
    if (message?.channel) label.append(el("span", { class: "channel" }, ...visible(message.channel)));
    const kind = key === "noise" ? "noise" : channelClass(message);
    return el("div", { class: `group ${kind}`, role: "group", "aria-label": name }, label);
  },

  chip(token, index, message) {
    const kind = token.control ? "control" : token.part === "content" ? channelClass(message) : token.part;
    const piece = token.text === null;
    const shown = piece ? [token.bytes || `id ${token.id}`] : visibleToken(token.text);
    const prompted = index < this.view.prompt ? " prompted" : "";
    return el(
      "span",
      {
        class: `chip ${kind}${piece ? " piece" : ""}${token.part === "noise" ? " noise" : ""}${prompted}`,
        role: "option",
        tabindex: -1,
        "data-index": index,
        "aria-label": `token ${index}: ${token.text ?? token.bytes}, ${token.part}`,
      },
      ...shown,
    );
  },

  // What was changed, what was repaired, what was refused: signs besides colours.
  mark() {
    const { recover, strict, done } = this.view;
    for (const event of recover.steps.flat()) {
      if (event.kind === "repair") this.chips[Math.min(event.token, this.chips.length - 1)].classList.add("repaired");
    }
    for (const [start, end] of done?.spans ?? []) {
      if (start === end) this.chips[start].classList.add("cut");
      for (let index = start; index < end; index++) this.chips[index].classList.add("changed");
    }
    if (strict.error) this.chips[strict.error.token].classList.add("refused");
  },

  masked(allowed) {
    this.allowed = allowed;
    this.detail(this.shown);
  },

  // The tokens from `position` on have not come yet.
  reach(position) {
    this.chips.forEach((chip, index) => {
      chip.classList.toggle("future", index >= position);
      chip.classList.toggle("newest", index === position - 1 && position < this.chips.length);
    });
    if (position && position < this.chips.length) showWithin($("tokens"), this.chips[position - 1]);
  },

  focus(index, take = true) {
    this.chips[this.focused]?.setAttribute("tabindex", "-1");
    for (const name of ["aria-selected", "aria-describedby"]) this.chips[this.focused]?.removeAttribute(name);
    this.focused = Math.max(0, Math.min(index, this.chips.length - 1));
    const chip = this.chips[this.focused];
    chip.tabIndex = 0;
    chip.setAttribute("aria-selected", "true");
    chip.setAttribute("aria-describedby", "token");
    if (take) {
      chip.focus({ preventScroll: true });
      chip.scrollIntoView({ block: "nearest" });
    } else showWithin($("tokens"), chip, Infinity);
    this.detail(this.focused);
  },

  // -- one token -------------------------------------------------------------------------------------------

  detail(index) {
    this.chips[this.shown]?.classList.remove("shown");
    this.shown = index;
    this.chips[index].classList.add("shown");
    const token = this.view.tokens[index];
    const rows = token ? this.about(token, index) : this.aboutEnd();
    const title = token
      ? el("p", { class: "title" }, el("span", { class: "number" }, `#${index}`), this.sample(token), el("span", { class: "quiet" }, `id ${token.id}`))
      : el("p", { class: "title" }, el("span", { class: "number" }, `#${index}`), "end of stream");
    $("token").replaceChildren(title, el("dl", {}, ...rows.flatMap(([name, ...value]) => [el("dt", {}, name), el("dd", {}, ...value)])));
  },

  sample(token) {
    const chip = this.chips[this.view.tokens.indexOf(token)];
    const sample = chip.cloneNode(true);
    for (const name of ["role", "tabindex", "data-index", "aria-label", "aria-selected", "aria-describedby"]) sample.removeAttribute(name);
    sample.classList.remove("future", "newest", "shown");
    return sample;
  },

  about(token, index) {
    const { states } = this.view.recover;
    const bytes = token.bytes ? token.bytes.split(" ") : [];
    const [start, end] = token.characters;
    const place = token.message === null ? token.part : `${token.part} of message ${token.message}`;
    const characters = end - start === 1 ? `character ${start}` : `characters ${start} to ${end - 1}`;
    return [
      ["bytes", el("code", {}, token.bytes || "no token has this id"), bytes.length ? el("span", { class: "quiet" }, ` ${characters} of the text`) : null],
      ["part", index < this.view.prompt ? `${place}, in the prompt` : place],
      ["state", `${states[index]} → ${states[index + 1]}`],
      ["next", ...DATA.states[states[index + 1]].flatMap((name) => [el("code", {}, name), " "])],
      ...this.mask(index),
      ...this.trouble(index),
    ];
  },

  aboutEnd() {
    return [["state", this.view.recover.states.at(-1)], ...this.trouble(this.view.tokens.length)];
  },

  // What a mask for the conversation's tools says: of what comes next, or of this token.
  mask(index) {
    const { sentences, refused, problem } = this.allowed ?? { sentences: [], refused: [], problem: null };
    if (problem) return [["mask", ...visible(problem)]];
    if (refused.includes(index)) {
      return [["mask", el("b", { class: "bad" }, "A mask would not have let it through. "), ...visible(sentences[index])]];
    }
    return sentences[index + 1] ? [["mask", ...visible(sentences[index + 1])]] : [];
  },

  trouble(index) {
    const { strict, recover } = this.view;
    const rows = [];
    if (strict.error?.token === index) {
      rows.push(["strict", el("b", { class: "bad" }, "refused: "), ...visible(strict.error.reason)]);
    }
    for (const event of recover.steps.flat()) {
      if (event.kind === "repair" && event.token === index) {
        rows.push(["recover", el("b", {}, event.code), ": ", DATA.codes[event.code], event.detail ? ` (${event.detail})` : null]);
      }
    }
    return rows;
  },

  // -- moving ----------------------------------------------------------------------------------------------

  // The token above or below, the nearest of the next line; the same one at the edge.
  vertical(direction) {
    const from = this.chips[this.focused].getBoundingClientRect();
    const middle = (from.left + from.right) / 2;
    let best = this.focused;
    let line = null;
    let distance = Infinity;
    for (let index = this.focused + direction; this.chips[index]; index += direction) {
      const rect = this.chips[index].getBoundingClientRect();
      const beyond = direction > 0 ? rect.top >= from.bottom - 2 : rect.bottom <= from.top + 2;
      if (!beyond) continue;
      line ??= rect;
      if (direction > 0 ? rect.top >= line.bottom - 2 : rect.bottom <= line.top + 2) break;
      const away = Math.max(rect.left - middle, middle - rect.right, 0);
      if (away < distance) [best, distance] = [index, away];
    }
    return best;
  },

  // The first token of the message before or after.
  message(direction) {
    const groups = [...$("tokens").children].map((group) => Number(group.querySelector(".chip").dataset.index));
    const later = groups.filter((index) => (direction > 0 ? index > this.focused : index < this.focused));
    return (direction > 0 ? later[0] : later.at(-1)) ?? this.focused;
  },

  key(event) {
    const moves = {
      ArrowRight: () => this.focused + 1,
      ArrowLeft: () => this.focused - 1,
      ArrowDown: () => this.vertical(1),
      ArrowUp: () => this.vertical(-1),
      PageDown: () => this.message(1),
      PageUp: () => this.message(-1),
      Home: () => 0,
      End: () => this.chips.length - 1,
    };
    if (event.altKey || event.ctrlKey || event.metaKey || !moves[event.key]) return;
    event.preventDefault();
    this.focus(moves[event.key]());
  },
};
