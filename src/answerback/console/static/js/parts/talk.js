/** What both ways of asking share: bubbles, and a composer that sends. */

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { said } from "./text.js";

/** Characters of an answer that a screen reader is given at once. */
const SAID = 600;

/** A message. `foot` stands under it, small. */
export function bubble(role, content, foot = null) {
  const name = { user: "User", assistant: "Answer", system: "System", tool: "Tool" }[role] ?? role;
  const body = typeof content === "string" ? said(content) : content;
  return h(
    "li.bubble",
    { class: role },
    h("span.unseen", {}, `${name}:`),
    h("div.bubble-body", {}, body),
    foot ? h("div.bubble-foot", {}, foot) : null,
  );
}

/**
 * A place for bubbles that stays at its end while it grows, unless it was scrolled back. `news` is for screen readers:
 * `say` puts an answer there once it is whole, since its pieces would interrupt each other.
 */
export function transcript(name, nothing) {
  const list = h("ol.bubbles");
  const news = h("p.unseen", { role: "status" });
  const element = h("div.transcript", { tabindex: "0", role: "region", "aria-label": name }, nothing);
  const isAtEnd = () => element.scrollHeight - element.scrollTop - element.clientHeight < 80;
  const toEnd = () => (element.scrollTop = element.scrollHeight);

  function grow(change) {
    const follows = isAtEnd();
    change();
    if (follows) toEnd();
  }
  function add(one) {
    if (!list.isConnected) fill(element, list);
    list.append(one);
    toEnd();
    return one;
  }
  const say = (words) => fill(news, words.slice(0, SAID));
  return { element, news, add, grow, say };
}

/**
 * Enter sends, Shift+Enter begins a line. `stop` is called while an answer comes. Where `send` resolves to false, what
 * was written comes back, to be sent once more. Nothing is sent while `check` says no.
 */
export function composer({ value = "", check, send, stop }) {
  const text = h("textarea", { rows: 2, placeholder: "Write a message", "aria-label": "Message", value });
  const button = h("button.button.primary", { type: "submit", "aria-label": "Send" }, icon("send"), "Send");
  let busy = false;

  function become(now) {
    busy = now;
    if (!stop) return busy ? button.setAttribute("aria-disabled", "true") : button.removeAttribute("aria-disabled");
    fill(button, icon(busy ? "stop" : "send"), busy ? "Stop" : "Send");
    button.setAttribute("aria-label", busy ? "Stop" : "Send");
  }
  async function submit(event) {
    event?.preventDefault();
    if (busy) return stop?.();
    const words = text.value.trim();
    if (!words || !check()) return;
    text.value = "";
    become(true);
    const sent = await send(words).finally(() => become(false));
    if (!sent && !text.value) text.value = words;
    text.dispatchEvent(new Event("input", { bubbles: true }));
  }
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!busy) submit();
  });
  const element = h("form.composer", { onsubmit: submit }, text, button);
  return { element, text };
}
