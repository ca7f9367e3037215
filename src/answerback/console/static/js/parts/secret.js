/** The secret that signs the callbacks of the tenant. */

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { exact } from "../time.js";
import { code } from "./code.js";
import { ask } from "./dialog.js";
import { attempt, card, toast } from "./notice.js";

const SHOW = "Show it";

export function secret() {
  const about = h(
    "p.muted",
    {},
    "Receivers check with it that a callback is from this service. Endpoints have secrets of their own.",
  );
  const place = h("div.card-body.stack", {}, about);
  let shown = false;
  const reveal = h(
    "button.button.tight",
    { type: "button", onclick: () => attempt(reveal, shown ? hide : show) },
    SHOW,
  );
  const rotate = h("button.button.tight", { type: "button", onclick: replace }, "Rotate");

  async function show() {
    draw(await get("/v1/signing_secret"));
  }
  function hide() {
    shown = false;
    fill(place, about);
    fill(reveal, SHOW);
  }
  function draw({ secret: text, previous_expires_at: until }) {
    const both = until ? h("p.small", {}, `The secret before it signs too, until ${exact(until)}.`) : null;
    shown = true;
    fill(place, code({ Secret: text }), both);
    fill(reveal, "Hide");
  }
  async function replace() {
    const words =
      "For 24 hours callbacks carry a signature by the old secret beside that by the new one, so that receivers can change over one by one.";
    const act = () => post("/v1/signing_secret/rotate");
    const made = await ask({ title: "Rotate the signing secret?", body: h("p", {}, words), action: "Rotate", act });
    if (made === null) return;
    toast("The secret was rotated.");
    draw(made);
  }
  return card("Your signing secret", place, reveal, rotate);
}
