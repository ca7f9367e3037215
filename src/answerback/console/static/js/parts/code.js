/** Commands to copy, in several languages. */

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { copy } from "./text.js";

/**
 * Tabs over `{name: text}`. A `secret` in them is masked on the screen, while the copy holds it. `chosen.name` is the tab
 * that is shown, for those that come after.
 */
export function code(texts, { secret = null, chosen = { name: null } } = {}) {
  const names = Object.keys(texts);
  const pre = h("pre", { tabindex: "0", role: "region" });
  const buttons = names.map((name) => h("button", { type: "button", role: "tab", onclick: () => select(name) }, name));

  function select(name) {
    chosen.name = name;
    for (const button of buttons) button.setAttribute("aria-selected", String(button.textContent === name));
    pre.setAttribute("aria-label", name);
    fill(pre, h("code", {}, secret ? texts[name].replaceAll(secret, masked(secret)) : texts[name]));
  }
  buttons.forEach((button, i) => button.addEventListener("keydown", (event) => step(event, buttons, i)));
  select(chosen.name ?? names[0]);
  const copied = h(
    "button.button.plain.tight",
    // A dialog may show several texts.
    { type: "button", "aria-label": names.length === 1 ? `Copy: ${names[0]}` : null, onclick: () => copy(texts[chosen.name]) },
    icon("copy"),
    "Copy",
  );
  const tabs = h("div.tabs", { role: "tablist", "aria-label": "Language" }, buttons);
  return h("div.code", {}, h("div.code-head", {}, tabs, copied), pre);
}

const masked = (secret) => (secret === "YOUR_KEY" ? secret : `${secret.slice(0, 5)}…`);

function step(event, buttons, i) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by === undefined) return;
  const next = buttons[(i + by + buttons.length) % buttons.length];
  next.click();
  next.focus();
}
