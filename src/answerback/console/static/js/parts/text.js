/** Texts from outside: as text, in their own direction, and not all at once where they are long. */

import { fill, h } from "../dom.js";
import { tail } from "../format.js";
import { icon } from "../icons.js";
import { toast } from "./notice.js";

const SHOWN = 6000;

/** A text of any length. */
export function said(text, tag = "div.said") {
  const element = h(tag, { dir: "auto" });
  if (text.length <= SHOWN) return fill(element, text);
  const all = () => fill(element, text);
  const more = `Show all ${text.length.toLocaleString("en")} characters`;
  return fill(element, text.slice(0, SHOWN), "… ", h("button.button.tight", { type: "button", onclick: all }, more));
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
  return h("span.id", {}, words, copyButton(value, "Copy the id"));
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
