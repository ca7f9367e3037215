/** Sending again all callbacks that match: how many there are before, how far it is after. */

import { get, newKey, post } from "../api.js";
import { fill, h } from "../dom.js";
import { counted, number, serverOf } from "../format.js";
import { ask } from "./dialog.js";
import { field, input, select } from "./fields.js";
import { toast } from "./notice.js";

const AGES = [
  ["", "Any time"],
  ["1", "The last hour"],
  ["24", "The last 24 hours"],
  ["168", "The last 7 days"],
];
const STATES = [
  ["dead", "Dead: given up"],
  ["pending", "Pending: waiting for their next attempt"],
];
const ASK_MS = 250;
const REREAD_MS = 1000;

/**
 * Asks which; then shows in `place` how many are left. `server` is where they go, empty for all; `tenant` whose they
 * are, null for the reader's own.
 */
export async function resend(view, server, place, tenant) {
  const state = select(STATES, "dead", { name: "status" });
  const url = input({ name: "url", value: server, placeholder: "Any URL" });
  const age = select(AGES, "", { name: "age" });
  const count = h("p.strong", { role: "status" }, "…");
  const fields = [field("State", state), field("URL begins with", url), field("Owed since", age), count];
  const body = () => asked(state.value, url.value.trim(), Number(age.value));
  const counter = counting(count, body, tenant);
  const form = h("div.form", { oninput: () => counter.soon() }, fields);
  counter.soon();
  const act = () =>
    post("/v1/deliveries/resend", body(), { query: { tenant }, headers: { "Idempotency-Key": newKey() } });
  const done = await ask({ title: "Resend callbacks", body: form, action: "Resend them", act });
  if (done === null) return;
  toast(`${counted(done.resent, "callback")} will be sent again.`);
  if (done.resent) progress(view, place, url.value.trim(), done.resent, tenant);
}

function asked(status, url, hours) {
  const body = { status };
  if (url) body.url = url;
  if (hours) body.since = new Date(Date.now() - hours * 3_600_000).toISOString();
  return body;
}

/** Says how many match, a moment after the last change. */
function counting(count, body, tenant) {
  let timer = null;
  let asking = 0;
  const find = async () => {
    const mine = ++asking;
    try {
      const { matched } = await post("/v1/deliveries/resend", { ...body(), dry_run: true }, { query: { tenant } });
      if (mine === asking)
        fill(count, matched ? `${counted(matched, "callback")} will be sent again.` : "No callback matches.");
    } catch (error) {
      if (mine === asking) fill(count, error.message);
    }
  };
  return { soon: () => (clearTimeout(timer), (timer = setTimeout(find, ASK_MS))) };
}

/** Until nothing waits at these receivers any more. */
function progress(view, place, prefix, all, tenant) {
  const bar = h("progress.progress", { max: all, value: 0, "aria-label": "Callbacks sent again" });
  const words = h("p", { role: "status" }, `0 of ${number(all)} sent`);
  const close = h("button.button.plain.tight", { type: "button", onclick: () => fill(place) }, "Close");
  fill(
    place,
    h(
      "section.card",
      { "aria-label": "Resending" },
      h("div.card-body.stack", {}, h("div.row.between", {}, words, close), bar),
    ),
  );
  view.every(REREAD_MS, async () => {
    const { items } = await get("/v1/receivers", { tenant }, view.signal);
    const theirs = items.filter(({ url }) => prefix.startsWith(serverOf(url)) || serverOf(url).startsWith(prefix));
    const waiting = theirs.reduce((so, one) => so + one.waiting + one.held, 0);
    const sent = Math.max(bar.value, all - Math.min(all, waiting));
    bar.value = sent;
    fill(words, sent === all ? `${counted(all, "callback")} sent again` : `${number(sent)} of ${number(all)} sent`);
    return sent < all && bar.isConnected;
  });
}
