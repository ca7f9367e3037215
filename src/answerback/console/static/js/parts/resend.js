/** Sending again all callbacks that match: how many there are before, what became of them after. */

import { newKey, post } from "../api.js";
import { serviceNow } from "../clock.js";
import { fill, h } from "../dom.js";
import { counted, number, serverOf } from "../format.js";
import { ask, submitter } from "./dialog.js";
import { field, input, select } from "./fields.js";
import { toast } from "./notice.js";
import { NEWEST } from "./standing.js";

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
const REREAD_MS = 2000;
/** The share of the time that goes into counting what became of them: many take long to count. */
const COUNTING = 1 / 20;

/**
 * Asks which; then shows in `place` what becomes of them. `server` is where they go, empty for all. `owners` are whose
 * they may be, `{tenant, name, receivers}` each: `tenant` is null for the reader's own, `receivers` are those of the page.
 * The service resends those of one tenant at a time.
 */
export async function resend(view, server, place, owners) {
  const at = sumAt(owners, server);
  const state = select(STATES, at.waiting && !at.dead ? "pending" : "dead", { name: "status" });
  const url = input({ name: "url", value: server, placeholder: "Any URL" });
  const age = select(AGES, "", { name: "age" });
  const count = h("div", { role: "status" }, h("p.strong", {}, "…"));
  const erased = h("p.muted.small", {}, "Callbacks that were erased with their conversation cannot be sent again.");
  const each = owners.map(({ name }, i) => [String(i), name]);
  const owner = select([["", `All ${owners.length} that are owed callbacks`], ...each], "", { name: "owner" });
  const fields = [
    owners.length > 1 ? field("Tenant", owner) : null,
    ...[field("State", state), field("URL begins with", url), field("Owed since", age), count, erased],
  ];
  const body = () => asked(state.value, url.value.trim(), Number(age.value));
  const theirs = () => (owner.value ? [owners[owner.value]] : owners);
  const submit = submitter("Resend them");
  const counter = counting(count, submit, () => foreseen(body(), theirs()));
  const form = h("div.form", { oninput: () => counter.soon() }, fields);
  counter.soon();
  const act = async () => {
    const [chosen, whose] = [body(), theirs()];
    const look = () => owedNow(chosen, whose, view.signal);
    const before = await look();
    const resent = await resendOf(chosen, whose);
    return { resent, others: othersOf(before, chosen.status, resent), look };
  };
  const done = await ask({ title: "Resend callbacks", body: form, submit, act });
  if (done === null) return;
  toast(`${counted(done.resent, "callback")} will be sent again.`);
  if (done.resent) progress(view, place, done);
}

function asked(status, url, hours) {
  const body = { status };
  if (url) body.url = url;
  if (hours) body.since = new Date(serviceNow() - hours * 3_600_000).toISOString();
  return body;
}

/** How many the service would resend: of all that there are, however many those be. */
async function matching(body, owners, signal) {
  const one = ({ tenant }) => post("/v1/deliveries/resend", { ...body, dry_run: true }, { query: { tenant }, signal });
  return total(await Promise.all(owners.map(one)), ({ matched }) => matched);
}

/** How many would be resent, and what is said of those. */
async function foreseen(body, owners) {
  const matched = await matching(body, owners);
  if (!matched) return { matched, words: h("p.strong", {}, "No callback matches.") };
  const words = h("p.strong", {}, `${counted(matched, "callback")} will be sent again.`);
  return { matched, words: [words, await following(body, owners)] };
}

/**
 * Those that are held behind others of their conversations are not resent, but follow them. Of a part of what a server is
 * owed nobody knows how many follow.
 */
async function following({ status, since, url = "" }, owners) {
  if (status !== "pending" || since) return null;
  await Promise.all(owners.map(({ receivers }) => receivers.read()));
  const held = (items) => total(items, (one) => one.held);
  const isWhole = (one) => serverOf(one.url).startsWith(url);
  const n = total(owners, ({ receivers }) => held(receivers.items.filter(isWhole)));
  if (!n) return null;
  const least = owners.some(({ receivers }) => held(receivers.items) >= NEWEST) ? "At least " : "";
  const follow = n === 1 ? "more follows in the order of its conversation" : "more follow in the order of their conversations";
  return h("p.muted.small", {}, `${least}${number(n)} ${follow}.`);
}

/** Resends them, and returns how many those were. Only those are asked for whose tenant has any: each counts. */
async function resendOf(body, owners) {
  let resent = 0;
  for (const { tenant } of owners) {
    if (owners.length > 1 && !(await matching(body, [{ tenant }]))) continue;
    const headers = { "Idempotency-Key": newKey() };
    resent += (await post("/v1/deliveries/resend", body, { query: { tenant }, headers })).resent;
  }
  return resent;
}

const total = (list, of) => list.reduce((so, each) => so + of(each), 0);

/**
 * How many that match, but for their state, wait or are being sent, and how many are dead. Those being sent are few, and
 * counted by their receivers; of the others the list of receivers looks at the newest only.
 */
async function owedNow(body, owners, signal) {
  const [dead, pending] = await Promise.all(
    ["dead", "pending"].map((status) => matching({ ...body, status }, owners, signal)),
  );
  await Promise.all(owners.map(({ receivers }) => receivers.read()));
  return { waiting: pending + sumAt(owners, body.url ?? "").sending, dead };
}

/** Says how many would be resent, as `match` finds, a moment after the last change; `submit` waits for that, and for a match. */
function counting(count, submit, match) {
  let timer = null;
  let asking = 0;
  const say = (words, isReady) => {
    fill(count, words);
    if (isReady) submit.removeAttribute("aria-disabled");
  };
  const find = async (mine) => {
    try {
      const { matched, words } = await match();
      if (mine === asking) say(words, matched > 0);
    } catch (error) {
      if (mine === asking) say(h("p.strong", {}, error.message), true);
    }
  };
  const soon = () => {
    submit.setAttribute("aria-disabled", "true");
    clearTimeout(timer);
    timer = setTimeout(find, ASK_MS, ++asking);
  };
  return { soon };
}

/** How many callbacks wait, are being sent, and are dead, at the receivers whose URLs begin so. */
function sumAt(owners, prefix) {
  const isAt = ({ url }) => prefix.startsWith(serverOf(url)) || serverOf(url).startsWith(prefix);
  const theirs = owners.flatMap(({ receivers }) => receivers.items.filter(isAt));
  return {
    waiting: total(theirs, (one) => one.waiting + one.held + one.sending),
    sending: total(theirs, (one) => one.sending),
    dead: total(theirs, (one) => one.dead),
  };
}

/** Those of them that are not sent again. */
function othersOf({ waiting, dead }, state, resent) {
  return state === "dead" ? { waiting, dead: Math.max(0, dead - resent) } : { waiting: waiting - resent, dead };
}

/** Until none of them waits any more. */
function progress(view, place, { resent, others, look }) {
  const bar = h("progress.progress", { max: resent, value: 0, "aria-label": "Callbacks sent again" });
  const words = h("p", { role: "status" }, `${counted(resent, "callback")} sent again`);
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
    const began = performance.now();
    const now = await look();
    const failed = Math.min(resent, Math.max(0, now.dead - others.dead));
    const waiting = Math.min(resent - failed, Math.max(0, now.waiting - others.waiting));
    bar.value = resent - waiting;
    const parts = [[resent - failed - waiting, "delivered"], [failed, "failed again"], [waiting, "waiting for an attempt"]];
    const said = parts.filter(([n, what]) => n || what === "delivered").map(([n, what]) => `${number(n)} ${what}`);
    fill(words, `${counted(resent, "callback")} sent again: ${said.join(", ")}`);
    if (!waiting || !bar.isConnected) return false;
    return Math.max(REREAD_MS, (performance.now() - began) / COUNTING);
  });
}
