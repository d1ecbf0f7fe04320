"use strict";
// Nothing here reads text as markup: every text of the document becomes a text node.

// What a Pod may be, in the order in which every bar shows it.
const STATES = ["compliant", "violating", "notChecked", "unmatched"];
const WORDS = {
  compliant: "Complies",
  violating: "Violates",
  notChecked: "Not checked",
  unmatched: "No policy applies",
};

/** An element. Children are nodes, texts, or null for none. */
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  set(node, attributes);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
}

/** A text of the document: kept apart from the direction of the text around it; long names break where they may. */
function said(text) {
  const parts = clean(text).split(/(?<=[/:@])/);
  return make("bdi", {}, parts.flatMap((part, at) => (at ? [make("wbr"), part] : [part])));
}

/** `text` without what hides, reorders or breaks the text that follows. */
function clean(text) {
  return String(text ?? "")
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ")
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "\ufffd");
}

/** `1 Pod`, `2 Pods`. */
function count(n, thing) {
  return `${n} ${thing}${n === 1 ? "" : "s"}`;
}

/** `part` of `whole` as page.rs says it: only all is 100%, and only none is 0%. */
function percent(part, whole) {
  if (whole === 0) return "–";
  const tenths = Math.floor((part * 1000) / whole);
  if (part === 0 || part >= whole) return `${Math.floor(tenths / 10)}%`;
  if (tenths === 0) return "0.1%";
  if (tenths < 10 || tenths >= 990) return `${Math.floor(tenths / 10)}.${tenths % 10}%`;
  return `${Math.floor((tenths + 5) / 10)}%`;
}

/** A bar of counts by state. The numbers stand beside it, so it is silent. */
function bar(counts, whole) {
  const svg = drawn("svg", { class: "bar", "aria-hidden": "true" });
  let start = 0;
  for (const state of STATES) {
    const width = whole ? ((counts[state] ?? 0) * 100) / whole : 0;
    if (width > 0) {
      svg.append(drawn("rect", { class: state, x: `${start}%`, width: `${width}%`, height: "100%" }));
    }
    start += width;
  }
  return svg;
}

function drawn(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(node, attributes);
  return node;
}

/** A link that sets the filters of the table of all objects, and nothing else. */
function filtered(filters, ...children) {
  return make("a", { href: `#${new URLSearchParams(filters)}` }, ...children);
}

/** A command to copy. */
function command(text) {
  const code = make("code", {}, text);
  const word = make("span", {}, "Copy");
  const button = make("button", { type: "button" }, word, make("span", { class: "unseen" }, ` ${text}`));
  button.addEventListener("click", async () => {
    word.textContent = (await copied(text, code)) ? "Copied" : "Selected";
    setTimeout(() => (word.textContent = "Copy"), 2000);
  });
  return make("div", { class: "command" }, code, button);
}

async function copied(text, code) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}

/** `text` as one word of a shell. */
function quoted(text) {
  const word = clean(text);
  return /^[\w@%+=:,./-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A digest, short enough to read. */
function shortened(digest) {
  const text = clean(digest);
  return text.length > 22 ? `${text.slice(0, 19)}…` : text;
}
