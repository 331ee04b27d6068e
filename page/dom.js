// Elements and text. Data never becomes markup: it enters the page as text nodes and attribute values only.

// Controls, bidirectional and zero-width marks, line separators: whatever has no glyph.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const LIMIT = 300;

/** Text of a stranger: hidden characters made visible, cut to `limit` characters. */
export function visible(value, limit = LIMIT) {
  const text = String(value ?? "");
  const cut = text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
  return cut.replace(HIDDEN, (character) =>
    `<U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

/** An element with attributes and children; a child that is no node becomes text, null and false are left out. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** Text of a stranger as an element of its own, so that its direction stays its own. */
export function quoted(value, limit) {
  return element("bdi", {}, visible(value, limit));
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A sentence in a box: `kind` is `good`, `bad` or `info`. */
export function notice(kind, ...children) {
  return element("p", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null }, ...children);
}

const DATE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeZone: "UTC" });
const MOMENT = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });

/** A date of the API for people, or the text itself where it is no date. */
export function date(text, withTime = false) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return visible(text, 40);
  return withTime ? `${MOMENT.format(moment)} UTC` : DATE.format(moment);
}

/** 1536 → "1.5 kB". */
export function size(bytes) {
  if (!Number.isFinite(bytes)) return "–";
  const units = ["bytes", "kB", "MB", "GB"];
  let step = 0;
  let value = bytes;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step === 0 ? value : value.toFixed(1)} ${units[step]}`;
}
