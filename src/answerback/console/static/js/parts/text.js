/** Texts from outside: as text, in their own direction, and not all at once where they are long. */

import { fill, h } from "../dom.js";
import { tail } from "../format.js";
import { icon } from "../icons.js";
import { toast } from "./notice.js";

const SHOWN = 6000;
/** Characters that a line breaks at no other place than spaces; unlike those of Thai, Chinese, and emoji. */
const WORD = "[^\\s\\u0e00-\\u109f\\u1780-\\u17ff\\u2e80-\\uffff]";
const LONG = 500;
const LONG_WORD = new RegExp(`(${WORD}{${LONG},})`);
const WORD_AT_START = new RegExp(`^${WORD}*`);
const WORD_AT_END = new RegExp(`${WORD}*$`);

/** Long words in elements of their own: else a browser shapes all that is left of one again for each line (`.long`). */
const pieces = (text) =>
  text
    .split(LONG_WORD)
    .map((piece, i) => (i % 2 ? h("span.long", {}, piece) : piece))
    .filter((piece) => piece !== "");

/** Adds to a text that grows; what it has stays, with what the reader has selected of it. */
export function append(element, text) {
  const last = element.lastChild;
  if (last === null || text === "") return element.append(...pieces(text));
  if (last.nodeType !== Node.TEXT_NODE) {
    const [more] = WORD_AT_START.exec(text);
    last.firstChild.appendData(more);
    return element.append(...pieces(text.slice(more.length)));
  }
  const [word] = WORD_AT_END.exec(last.data.slice(-LONG));
  const [first, ...rest] = pieces(word + text);
  if (typeof first === "string") last.appendData(first.slice(word.length));
  else last.deleteData(last.length - word.length, word.length);
  element.append(...(typeof first === "string" ? rest : [first, ...rest]));
}

/** A text of any length: so many characters at first. */
export function said(text, tag = "div.said", most = SHOWN) {
  const element = h(tag, { dir: "auto" });
  if (text.length <= most) return fill(element, pieces(text));
  const all = () => fill(element, pieces(text));
  const more = `Show all ${text.length.toLocaleString("en")} characters`;
  return fill(element, pieces(text.slice(0, most)), "… ", h("button.button.tight", { type: "button", onclick: all }, more));
}

/** A short text in a line with others: its direction does not reach them. */
export const inline = (text, props = {}) => h("bdi.cut", { dir: "auto", title: text, ...props }, text);

/** OpenAI's content, a text or parts, as text. */
export function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? `[${part.type ?? "part"}]`).join("\n");
}

/** An id, short, with a button that copies it. */
export function id(value, href = null) {
  const words = href ? h("a.mono", { href, title: value }, tail(value)) : h("span.mono", { title: value }, tail(value));
  return h("span.id", {}, words, copyButton(value, `Copy the id ${tail(value)}`));
}

export function copyButton(value, name) {
  return h(
    "button.copy",
    { type: "button", "aria-label": name, title: name, onclick: () => copy(value) },
    icon("copy"),
  );
}

export async function copy(value) {
  if (navigator.clipboard) await navigator.clipboard.writeText(value);
  else copySelected(value);
  toast("Copied.");
}

/** Pages that come over http from another host have no clipboard of their own. */
function copySelected(value) {
  const focused = document.activeElement;
  const text = h("textarea.unseen", { value });
  (focused?.closest("dialog") ?? document.body).append(text);
  text.select();
  document.execCommand("copy");
  text.remove();
  focused?.focus();
}
