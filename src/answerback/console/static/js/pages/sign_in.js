/** Asks for a key. */

import { fill, h } from "../dom.js";
import { mark } from "../icons.js";
import { Session } from "../session.js";

/** Draws the form into `app`, with `why` it is there; `enter` is called with the session of a valid key. */
export function signIn(app, enter, why = null) {
  document.title = "Sign in · Answerback";
  const problem = h("p.problem", { role: "alert", hidden: !why }, why);
  const button = h("button.button.primary", { type: "submit" }, "Sign in");
  const field = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true });

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      enter(await Session.signIn(field.value.trim().replace(/^Bearer\s+/i, "")));
    } catch (error) {
      problem.hidden = false;
      fill(problem, error.message);
      button.disabled = false;
      field.select();
    }
  }

  const about = h(
    "p.about",
    { id: "about-key" },
    "Made by ",
    h("code", {}, "answerback keys create"),
    ". It stays in a cookie that scripts cannot read.",
  );
  field.setAttribute("aria-describedby", "about-key");
  const asked = h("div.field", {}, h("label", { for: "key" }, "Key"), field, about);
  const brand = h("div.brand", {}, mark(), "Answerback");
  const form = h("form", { onsubmit: submit }, brand, h("h1", {}, "Sign in"), asked, problem, button);
  fill(app, h("main.entry", { id: "main" }, form));
  field.focus();
}
