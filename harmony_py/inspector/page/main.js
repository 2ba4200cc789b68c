// The page: what is looked at, how far it has come, and who is told.

const FIELDS = ["kind", "render", "analysis", "role"];
const FRAME = 70; // milliseconds a token while playing

const page = {
  source: null,
  pattern: null,
  seed: 0,
  position: 0,
  length: 0,
  asked: 0,
  playing: null,

  // -- the source ------------------------------------------------------------------------------------------

  choose() {
    this.source = DATA.examples[$("example").value].source;
    $("text").value = this.source.text;
    for (const field of FIELDS) $(field).value = this.source[field];
    tokens.focused = 0;
    this.look(null);
  },

  // Something was typed or set. Where an example's prompt ends is not known of another text.
  edited() {
    const old = this.source;
    this.source = { ...old, text: $("text").value };
    for (const field of FIELDS) this.source[field] = $(field).value;
    if (this.source.kind !== old.kind || this.source.text !== old.text) this.source.prompt = 0;
    this.look(null);
  },

  async look(pattern, seed = 0) {
    this.stop();
    Object.assign(this, { pattern, seed });
    for (const label of document.querySelectorAll("[data-kinds]")) {
      label.hidden = !label.dataset.kinds.split(" ").includes(this.source.kind);
    }
    const question = { source: this.source, ...(pattern ? { pattern, seed } : {}) };
    const asked = ++this.asked;
    const view = await ask({ ask: "view", ...question });
    if (asked !== this.asked) return;
    $("trouble").textContent = view.error ?? "";
    document.body.classList.toggle("stale", Boolean(view.error));
    if (view.error) return;
    this.show(view);
    // Which question has been answered is there to be seen: tests and pictures wait for it.
    document.body.dataset.shown = asked;
    const allowed = await ask({ ask: "allowed", ...question });
    if (asked !== this.asked) return;
    tokens.masked(allowed);
    document.body.dataset.masked = asked;
  },

  show(view) {
    // First what takes room, then what is scrolled to within the rest.
    this.note("notes", view.notes.join(" "));
    this.tell(view.done);
    messages.show(view);
    tokens.show(view);
    this.length = view.tokens.length + 1;
    $("slider").max = this.length;
    this.reach(this.length);
    if (!this.pattern) {
      this.offer(view.breakable);
      schema.offer(view.schemas);
    }
    for (const button of $("operators").children) {
      button.setAttribute("aria-pressed", String((button.dataset.pattern ?? null) === this.pattern));
    }
  },

  note(id, ...content) {
    $(id).replaceChildren(...content);
    $(id).hidden = !$(id).textContent;
  },

  tell(done) {
    if (!done) return this.note("done");
    const end = done.fault
      ? `Recovery went wrong: ${done.fault}.`
      : "Recovery finds what was meant.";
    const literal = done.literal ? " The grammar allows what it says now, so that strict takes it as it stands." : "";
    this.note("done", el("b", {}, `${done.pattern} ${done.title}`), ": ", ...visible(done.what.join("; ")), `. ${end}${literal}`);
  },

  // The operators that fit, and the way back.
  offer(fitting) {
    const rest = Object.keys(DATA.operators).length - fitting.length;
    $("fits").textContent = fitting.length
      ? `Again for another way. ${rest} more do not fit this stream.`
      : "Only what needs no repair can be broken, and no operator fits this stream.";
    const original = el("button", { onclick: () => this.look(null) }, "as it was");
    const buttons = fitting.map((pattern) =>
      el("button", { "data-pattern": pattern, onclick: () => this.break(pattern) }, el("b", {}, pattern), ` ${DATA.operators[pattern]}`),
    );
    $("operators").replaceChildren(...(buttons.length ? [original, ...buttons] : []));
  },

  break(pattern) {
    const next = this.pattern === pattern ? this.seed + 1 : 0;
    this.look(pattern, next % ways(this.source, pattern));
  },

  // -- the replay ------------------------------------------------------------------------------------------

  reach(position) {
    this.position = Math.max(0, Math.min(position, this.length));
    $("slider").value = this.position;
    const whole = this.position === this.length;
    const text = whole ? "all, and the end" : `${this.position} of ${this.length - 1}`;
    $("position").textContent = text;
    $("slider").setAttribute("aria-valuetext", text);
    tokens.reach(this.position);
    messages.reach(this.position);
    if (whole) this.stop();
  },

  play() {
    if (this.playing) return this.stop();
    if (this.position === this.length) this.reach(0);
    this.playing = setInterval(() => this.reach(this.position + 1), FRAME);
    this.name("Pause", "❚❚");
  },

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    this.name("Play", "▶");
  },

  name(name, sign) {
    $("play").textContent = sign;
    $("play").title = name;
    $("play").setAttribute("aria-label", name);
  },
};

// -- what the user does --------------------------------------------------------------------------------------

const groups = new Map();
DATA.examples.forEach((example, index) => {
  if (!groups.has(example.group)) groups.set(example.group, el("optgroup", { label: example.group }));
  groups.get(example.group).append(el("option", { value: index }, example.name));
});
$("example").append(...groups.values());
$("example").addEventListener("change", () => page.choose());
$("text").addEventListener("input", afterQuiet(250, () => page.edited()));
$("text").readOnly = !LIVE;
for (const field of FIELDS) {
  $(field).addEventListener("change", () => page.edited());
  $(field).disabled = !LIVE;
}
$("saved").hidden = LIVE;

$("slider").addEventListener("input", () => page.reach(Number($("slider").value)));
$("first").addEventListener("click", () => page.reach(0));
$("back").addEventListener("click", () => page.reach(page.position - 1));
$("forth").addEventListener("click", () => page.reach(page.position + 1));
$("play").addEventListener("click", () => page.play());

const indexOf = (event) => Number(event.target.closest("[data-index]")?.dataset.index ?? NaN);
$("tokens").addEventListener("keydown", (event) => {
  tokens.key(event);
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    page.reach(tokens.focused + 1);
  }
});
$("tokens").addEventListener("click", (event) => Number.isNaN(indexOf(event)) || tokens.focus(indexOf(event)));
$("tokens").addEventListener("pointerover", (event) => Number.isNaN(indexOf(event)) || tokens.detail(indexOf(event)));
$("tokens").addEventListener("pointerleave", () => tokens.detail(tokens.focused));

const tabs = [...document.querySelectorAll("[role=tab]")];
function selectTab(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}
for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => selectTab(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(index + step + tabs.length) % tabs.length];
    selectTab(next);
    next.focus();
  });
}

// Where there is little room, what is looked at comes before what can be done to it.
if (matchMedia("(max-width: 999px)").matches) $("breaking").open = false;
page.choose();
