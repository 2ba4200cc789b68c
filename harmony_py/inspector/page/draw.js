// Elements and text. Whatever a text says, it becomes text: nothing here takes markup.

const $ = (id) => document.getElementById(id);

// An element with properties, classes and children; a string among them is text.
function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Characters that nobody sees, or that turn a line around. Joiners belong to scripts and emoji: in a message
// they stay, in a token they are shown.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const UNSEEN_OR_JOINING = new RegExp(`${UNSEEN.source}|[\\u200c\\u200d\\ufe0e\\ufe0f]`, "gu");

// `text` as nodes in which everything can be seen.
function visible(text, unseen = UNSEEN) {
  const nodes = [];
  let done = 0;
  for (const { 0: character, index } of text.matchAll(unseen)) {
    if (index > done) nodes.push(text.slice(done, index));
    nodes.push(el("span", { class: "sign" }, `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`));
    done = index + character.length;
  }
  if (done < text.length) nodes.push(text.slice(done));
  return nodes;
}

// The same for a token, where line breaks and tabs are of interest too.
function visibleToken(text) {
  const nodes = [];
  for (const piece of text.split(/(\n|\t)/)) {
    if (piece === "\n") nodes.push(el("span", { class: "sign" }, "↵"), "\n");
    else if (piece === "\t") nodes.push(el("span", { class: "sign" }, "⇥"), "\t");
    else nodes.push(...visible(piece, UNSEEN_OR_JOINING));
  }
  return nodes;
}

// Scroll `box`, and nothing around it, so far that `element` is seen in it, and what is `around` it.
function showWithin(box, element, around = 48) {
  const [outer, inner] = [box.getBoundingClientRect(), element.getBoundingClientRect()];
  const margin = Math.min(around, outer.height / 3);
  if (inner.top < outer.top + margin) box.scrollTop += inner.top - outer.top - margin;
  else if (inner.bottom > outer.bottom - margin) box.scrollTop += inner.bottom - outer.bottom + margin;
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

// What is called when it has been quiet for a while.
function afterQuiet(milliseconds, action) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, milliseconds);
  };
}
