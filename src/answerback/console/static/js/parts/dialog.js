/** Dialogs: asked before what cannot be undone, and for what a form needs. */

import { fill, h } from "../dom.js";

/**
 * Shows a form. `act` runs when it is submitted: the dialog closes when it succeeds, and shows why when it does not.
 * Resolves to what `act` returned, null when it was left.
 */
export function ask({ title, body = [], action, leaving = "Cancel", danger = false, act }) {
  return new Promise((resolve) => {
    const problem = h("p.problem", { role: "alert", hidden: true });
    const submit = h("button.button.primary", { type: "submit", class: danger ? "danger" : "" }, action);
    const leave = h("button.button", { type: "button", onclick: () => dialog.close() }, leaving);
    const form = h(
      "form",
      { onsubmit: run },
      h("h2", { id: "dialog-title" }, title),
      body,
      problem,
      h("div.actions", {}, leave, submit),
    );
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    let result = null;

    async function run(event) {
      event.preventDefault();
      submit.disabled = true;
      problem.hidden = true;
      try {
        result = (await act(new FormData(form))) ?? true;
        dialog.close();
      } catch (error) {
        problem.hidden = false;
        fill(problem, error.message);
        submit.disabled = false;
      }
    }
    dialog.addEventListener("close", () => (dialog.remove(), resolve(result)));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Shows something until it is closed. */
export function show(title, ...body) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" });
  const close = h("button.button.primary", { type: "button", onclick: () => dialog.close() }, "Done");
  fill(
    dialog,
    h(
      "form",
      { onsubmit: (event) => event.preventDefault() },
      h("h2", { id: "dialog-title" }, title),
      body,
      h("div.actions", {}, close),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
