// A tool's schema in both styles of TypeScript.

const schema = {
  offered: [],

  // The tools of the conversation, before the examples.
  offer(tools) {
    this.offered = LIVE ? [...tools, ...DATA.schemas] : DATA.schemas;
    const names = this.offered.map(({ name }) => el("option", {}, name));
    $("schema").replaceChildren(...(names.length ? names : [el("option", {}, "the conversation offers no tools")]));
    $("schema").disabled = !names.length;
    this.choose();
  },

  choose() {
    $("schema-text").value = this.offered[$("schema").selectedIndex]?.text ?? "";
    if (this.offered.length) this.update();
  },

  async update() {
    const text = $("schema-text").value;
    const found = await ask({ ask: "typescript", text });
    if (text !== $("schema-text").value) return;
    $("schema-trouble").textContent = found.error ?? "";
    if (found.error) return;
    for (const style of ["upstream", "extended"]) {
      const { lines, tokens: count } = found[style];
      $(`${style}-count`).textContent = plural(count, "token");
      $(style).replaceChildren(...lines.map(([line, own]) => this.line(line, own, style)));
    }
  },

  line(line, own, style) {
    const sign = own ? (style === "extended" ? "+" : "−") : " ";
    return el("span", { class: `line${own ? " own" : ""}` }, el("i", {}, sign), ...visible(line), "\n");
  },
};

$("schema").addEventListener("change", () => schema.choose());
$("schema-text").addEventListener("input", afterQuiet(250, () => schema.update()));
$("schema-text").readOnly = !LIVE;
