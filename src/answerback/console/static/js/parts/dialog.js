/** Dialogs: asked before what cannot be undone, and for what a form needs. */

import { fill, h } from "../dom.js";
import { once } from "./notice.js";

/** The button that submits a form; nothing is submitted while it is `aria-disabled`. */
export const submitter = (action, danger = false) =>
  h("button.button.primary", { type: "submit", class: danger ? "danger" : "" }, action);

/**
 * Shows a form with the button `submit`, by default one that is named `action`. `act` runs when it is submitted: the
 * dialog closes when it succeeds, and shows why when it does not. Resolves to what `act` returned, null when it was left.
 */
export function ask({ title, body = [], action, danger = false, submit = submitter(action, danger), leaving = "Cancel", act }) {
  return new Promise((resolve) => {
    const problem = h("p.problem", { role: "alert", hidden: true });
    const leave = h("button.button", { type: "button", onclick: () => close() }, leaving);
    let result = null;
    const run = (form) =>
      once(submit, async () => {
        problem.hidden = true;
        try {
          result = (await act(form)) ?? true;
          close();
        } catch (error) {
          problem.hidden = false;
          fill(problem, error.message);
        }
      });
    const close = open(title, [body, problem], [leave, submit], { run, closed: () => resolve(result) });
  });
}

/** Shows what is shown once, until its button is pressed: the key Esc closes other dialogs, but not this. */
export function show(title, ...body) {
  return new Promise((resolve) => {
    const done = h("button.button.primary", { type: "submit" }, "Done");
    const close = open(title, body, [done], { run: () => close(), closed: resolve, closedby: "none" });
  });
}

/** Closes whatever is open: nothing of it stays in the page. */
export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog")) (dialog.close(), dialog.remove());
}

/** `run` gets what was submitted; `closed` is called at the end. Returns what closes it. */
function open(title, body, actions, { run, closed, closedby = "closerequest" }) {
  const submitted = (event) => (event.preventDefault(), run(new FormData(event.target)));
  const form = h(
    "form",
    { onsubmit: submitted },
    h("h2", { id: "dialog-title" }, title),
    body,
    h("div.actions", {}, actions),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", closedby }, form, h("div", { role: "status" }));
  // A browser may say only later that it was closed, and what it shows may be a secret.
  const close = () => (dialog.close(), dialog.remove(), closed());
  dialog.addEventListener("close", () => (dialog.remove(), closed()));
  document.body.append(dialog);
  dialog.showModal();
  return close;
}
