/** A job: all that happened to it on one timeline, and what can be done about it. */

import { get, post, written } from "../api.js";
import { lead } from "../clock.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { ENDED, jobBadge, label } from "../parts/badge.js";
import { ask } from "../parts/dialog.js";
import { attempt, card, toast } from "../parts/notice.js";
import { copyButton, inline, said, textOf } from "../parts/text.js";
import { timeline } from "../parts/timeline.js";
import { conversationPath, go, jobPath } from "../router.js";
import { exact, span } from "../time.js";

export const title = "Job";

/** How long a change waits at most while changes do not stop. */
const LATE_MS = 10_000;
/** After an attempt was due, it has been made. */
const ATTEMPT_MS = 1000;
/** Characters of a long value beside others. */
const FACT = 600;
const OPEN = ["held", "pending", "sending"];

export async function page(view) {
  const address = `/v1/jobs/${encodeURIComponent(view.params.id)}`;
  let tenant = view.tenant;
  let shown = null;
  let behind;
  let isOver = false;
  let due = Infinity;
  const place = h("div");
  const news = h("p.unseen", { role: "status" });
  fill(view.root, place, news);
  const read = async () => {
    const job = await get(address, { tenant }, view.signal);
    // An operator is shown the job whosever it is; what is asked for with it is the same tenant's.
    if (job.tenant_id && job.tenant_id !== view.session.tenant) tenant = job.tenant_id;
    behind ??= await waitedBehind(job, tenant, view.signal);
    const written = JSON.stringify(job);
    if (written !== shown) draw(place, job, view.session, { read, tenant, behind });
    if (shown !== null && stand(job) !== news.textContent) fill(news, stand(job));
    shown = written;
    isOver = isSettled(job);
    due = nextOf(job) + ATTEMPT_MS;
  };
  await read();
  // It may have been erased since.
  view.live(({ looked }) => (isOver && !looked ? null : read()), { late: LATE_MS, at: () => due });
}

/** How it stands, for who does not see the timeline change. */
function stand({ status, deliveries }) {
  const callback = deliveries.at(-1);
  return `The job is ${status}${callback ? `, its callback ${callback.status}` : ""}.`;
}

/** The name of its conversation; null where it has none, or was erased with it. */
function conversationOf({ kind, seq, erased, session_id, callback_url }) {
  return kind === "message" && seq && !erased ? (session_id ?? callback_url) : null;
}

/** The job before it in its conversation, if that ended after this one was accepted; null if not. */
async function waitedBehind(job, tenant, signal) {
  const session_id = conversationOf(job);
  if (!(job.seq > 1) || !session_id) return null;
  const { items } = await get("/v1/jobs", { session_id, tenant, before: job.job_id, limit: 1 }, signal);
  const ended = items[0]?.completed_at;
  return ended && ended > job.created_at ? items[0].job_id : null;
}

/** When its next attempt is due, or that of one of its callbacks, by the clock of the reader. */
function nextOf(job) {
  const due = [job.waiting_for?.until, ...job.deliveries.map((each) => each.next_attempt_at)].filter(Boolean);
  return Math.min(...due.map((at) => Date.parse(at) - lead()).filter((at) => at > Date.now()));
}

/** Nothing will happen to it any more by itself. */
function isSettled(job) {
  return ENDED.includes(job.status) && !job.deliveries.some((each) => OPEN.includes(each.status));
}

function draw(place, job, session, how) {
  const focused = document.activeElement?.dataset?.act;
  const texts = [asked(job), answer(job)].filter(Boolean);
  fill(
    place,
    top(job, how),
    h(
      "div.columns",
      {},
      h("div.stack", {}, card("Timeline", h("div.card-body", {}, timeline(job, how))), texts),
      card("Facts", h("div.card-body", {}, facts(job, session, how))),
    ),
  );
  // What was done may be over, and its button gone.
  if (focused) (place.querySelector(`[data-act="${CSS.escape(focused)}"]`) ?? main()).focus({ preventScroll: true });
}

const main = () => document.getElementById("main");

function top(job, how) {
  const name = h("h1.mono.wrap", {}, job.job_id);
  const words = h(
    "div",
    {},
    h("p.crumb", {}, h("a", { href: `/console/jobs${written({ tenant: how.tenant })}` }, "Jobs")),
    h("div.row", {}, name, copyButton(job.job_id, "Copy the id"), jobBadge(job.status), label(job.kind)),
  );
  return h("div.head", {}, words, h("div.actions", {}, actions(job, how)));
}

function actions(job, how) {
  const button = (name, act, props = {}) =>
    h("button.button", { type: "button", "data-act": name, onclick: act, ...props }, name);
  const made = [];
  if (!ENDED.includes(job.status)) made.push(button("Cancel", () => cancel(job, how), { class: "danger" }));
  else if (job.status !== "completed" && !job.retried_as && !job.erased)
    made.push(button("Ask again", ({ currentTarget }) => again(job, currentTarget, how), { class: "primary" }));
  return made;
}

async function cancel(job, { read, tenant }) {
  const act = () => post(`/v1/jobs/${job.job_id}/cancel`, {}, { query: { tenant } });
  const words = "The job ends at once, whatever it is doing. Its callback says that it was cancelled.";
  const asked = { title: "Cancel this job?", body: h("p", {}, words), leaving: "Keep it", danger: true, act };
  if (await ask({ ...asked, action: "Cancel the job" })) {
    toast("The job was cancelled.");
    await read();
  }
}

async function again(job, button, { tenant }) {
  await attempt(button, async () => {
    const accepted = await post(`/v1/jobs/${job.job_id}/retry`, {}, { query: { tenant } });
    toast("Asked again, as a job of its own.");
    go(jobPath(accepted.job_id, tenant));
  });
}

function facts(job, session, { tenant }) {
  const link = (href, words) => h("a", { href }, inline(words));
  const to = (id) => h("a.mono", { href: jobPath(id, tenant) }, id);
  const conversation = conversationOf(job);
  const rows = [
    ["Conversation", job.erased ? "Erased" : conversation && link(conversationPath(conversation, tenant), conversation)],
    ["Place in it", job.seq],
    ["Model", job.model && inline(job.model)],
    [
      "Tokens",
      job.usage &&
        `${number(tokens(job.usage, "prompt", "input"))} read, ${number(tokens(job.usage, "completion", "output"))} written`,
    ],
    ["Finish reason", job.finish_reason],
    ["Response", job.response_id && response(job, tenant)],
    ["Took", job.completed_at && span((new Date(job.completed_at) - new Date(job.created_at)) / 1000)],
    ["Accepted", exact(job.created_at)],
    ["Deadline", !job.completed_at && exact(job.deadline_at)],
    ["Tenant", job.tenant_id !== session.tenant && job.tenant_id],
    ["Key", job.key_id && h("a.mono", { href: `/console/jobs${written({ key: job.key_id, tenant })}` }, job.key_id)],
    ["Callback URL", job.callback_url && h("bdi.wrap", {}, job.callback_url)],
    ["Asked again of", job.retry_of && to(job.retry_of)],
    ["Asked again as", job.retried_as && to(job.retried_as)],
    ["Lost leases", job.lease_losses || null],
    ["Parameters", job.params && said(JSON.stringify(job.params, null, 2), "pre.wrap", FACT)],
    ["Metadata", job.metadata && said(JSON.stringify(job.metadata, null, 2), "pre.wrap", FACT)],
  ];
  const given = rows.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "");
  return h(
    "dl.facts",
    {},
    given.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

/** A response is shown to its own tenant only. */
const response = ({ response_id: id }, tenant) =>
  tenant ? h("span.mono.wrap", {}, id) : h("a", { href: `/console/responses/${id}` }, inline(id));

const tokens = (usage, chat, responses) => usage[`${chat}_tokens`] ?? usage[`${responses}_tokens`];

function asked(job) {
  if (job.erased) return card("Message", h("div.card-body.muted", {}, "It was erased with its conversation."));
  if (!job.message && !job.system && !job.tool_outputs) return null;
  const system = job.system ? h("div.quote", {}, h("h3", {}, "System prompt"), said(job.system)) : null;
  const outputs = job.tool_outputs ? said(JSON.stringify(job.tool_outputs, null, 2), "pre.wrap") : null;
  return card("Message", h("div.card-body.stack", {}, system, job.message ? said(textOf(job.message)) : null, outputs));
}

function answer(job) {
  const calls = job.tool_calls ? said(JSON.stringify(job.tool_calls, null, 2), "pre.wrap") : null;
  if (job.response === null || job.response === undefined)
    return calls ? card("Tool calls", h("div.card-body", {}, calls)) : null;
  const cut = job.finish_reason === "length" ? label("cut at the length limit", "warn") : null;
  return card(
    "Answer",
    h("div.card-body.stack", {}, said(job.response), calls),
    cut,
    copyButton(job.response, "Copy the answer"),
  );
}
