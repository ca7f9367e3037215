/** What pages say besides their data: failures, emptiness, what an action did. */

import { h } from "../dom.js";
import { span } from "../time.js";

const SHOWN_MS = 6000;

/** A failure, with a way to try again. */
export function failure(error, again = null) {
  const retry = again ? h("button.button.tight", { type: "button", onclick: again }, "Try again") : null;
  const wait = error.retryAfter ? h("span", {}, `Try again in ${span(error.retryAfter)}.`) : null;
  return h("div.notice.bad", { role: "alert" }, h("div.row", {}, h("span", {}, error.message), wait, retry));
}

/** An empty place says what to do next. */
export function empty(title, words, ...actions) {
  return h("div.empty", {}, h("h2", {}, title), h("p", {}, words), actions.length ? h("div.row", {}, actions) : null);
}

/** Says for a moment what an action did; within an open dialog, since all else is inert then. */
export function toast(words, kind = "good") {
  const shown = h("div.toast", { "data-kind": kind, role: kind === "bad" ? "alert" : null }, words);
  const place = document.querySelector("dialog[open] > [role='status']") ?? document.getElementById("toasts");
  place.append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/** Does what a button is for; pressed once more meanwhile it does nothing. It keeps the focus: a disabled one would not. */
export async function once(button, work) {
  if (button.hasAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** Runs an action of a button; a failure is shown. */
export const attempt = (button, action) =>
  once(button, async () => {
    try {
      await action();
    } catch (error) {
      toast(error.message, "bad");
    }
  });

/** The head of a page. */
export function head(title, lead = null, ...actions) {
  const words = h("div", {}, h("h1", {}, title), lead ? h("p.lead", {}, lead) : null);
  return h("div.head", {}, words, actions.length ? h("div.actions", {}, actions) : null);
}

/** A card with a title. */
export function card(title, body, ...actions) {
  return h("section.card", {}, h("div.card-head", {}, h("h2", {}, title), h("div.row", {}, actions)), body);
}
