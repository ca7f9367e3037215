/** A conversation: what was said, what the next message will remember, and what waits for its turn. */

import { get, remove, written } from "../api.js";
import { fill, h, refill, sync } from "../dom.js";
import { counted } from "../format.js";
import { ENDED, jobBadge } from "../parts/badge.js";
import { ask } from "../parts/dialog.js";
import { shown } from "../parts/items.js";
import { empty, head, toast } from "../parts/notice.js";
import { bubble } from "../parts/talk.js";
import { copyButton, inline, textOf } from "../parts/text.js";
import { waitsFor } from "../parts/waiting.js";
import { go, jobPath } from "../router.js";
import { time } from "../time.js";

export const title = "Conversation";

const WAITING = 20;
/** How many jobs of the conversation are looked at. */
const NEWEST = 100;
const UNANSWERED = ["failed", "expired", "cancelled"];

export async function page(view) {
  const key = view.query.get("session") ?? "";
  const tenant = view.tenant;
  const address = addressOf(key);
  const parts = {
    about: h("p.muted.small"),
    earlier: h("div.earlier"),
    said: h("ol.bubbles"),
    waiting: h("ol.bubbles"),
    rest: h("p.muted.small"),
  };
  const talk = h(
    "section.card.conversation",
    { "aria-label": "What was said" },
    parts.earlier,
    parts.said,
    parts.waiting,
    parts.rest,
  );
  fill(view.root, top(key, tenant), h("div.stack", {}, parts.about, talk));
  const older = [];
  const read = async () => {
    const [conversation, { items: jobs }] = await Promise.all([
      get(address.path, { ...address.query, tenant }, view.signal),
      get("/v1/jobs", { session_id: key, tenant, limit: NEWEST }, view.signal),
    ]);
    const waiting = await waitingOf(jobs, tenant, view.signal);
    const readBack = (before) => back(address, older, { before, tenant }, view, read);
    draw(parts, conversation, { older, jobs, waiting, readBack, tenant });
  };
  await read();
  const isOfIt = (job) => (job.session_id ?? job.callback_url) === key;
  view.live(read, { concerns: (name, detail) => name === "jobs" && detail.items.some(isOfIt) });
}

/** Where the API has it. What a browser would take out of a path stands in the query. */
function addressOf(key) {
  if (key === "." || key === "..") return { path: "/v1/sessions/", query: { session_id: key } };
  return { path: `/v1/sessions/${encodeURIComponent(key)}`, query: {} };
}

/** Reads one page further back. */
async function back(address, older, query, view, read) {
  older.unshift(await get(address.path, { ...address.query, ...query }, view.signal));
  await read();
}

/** The open ones of these jobs, the next one first, each with its message. */
async function waitingOf(jobs, tenant, signal) {
  const open = jobs.filter((job) => !ENDED.includes(job.status)).sort((a, b) => a.seq - b.seq);
  return Promise.all(open.slice(0, WAITING).map((job) => get(`/v1/jobs/${job.job_id}`, { tenant }, signal)));
}

function top(key, tenant) {
  const name = h("h1.cut", {}, inline(key));
  const crumb = h("p.crumb", {}, h("a", { href: `/console/conversations${written({ tenant })}` }, "Conversations"));
  const jobs = h("a.button", { href: `/console/jobs${written({ session_id: key, tenant })}` }, "Its jobs");
  const act = h("button.button.danger", { type: "button", onclick: () => erase(key, tenant) }, "Erase");
  return h(
    "div.head",
    {},
    h("div", {}, crumb, h("div.row", {}, name, copyButton(key, "Copy the name"))),
    h("div.actions", {}, jobs, act),
  );
}

function draw(parts, conversation, { older, jobs, waiting, readBack, tenant }) {
  const first = older[0] ?? conversation;
  const messages = [...older.flatMap((page) => page.messages), ...conversation.messages];
  const button = first.next
    ? h("button.button.tight", { type: "button", onclick: () => readBack(first.next) }, "Earlier messages")
    : null;
  refill(parts.earlier, button);
  const entries = entriesOf(messages, conversation.remembered_from, tenant);
  sync(parts.said, entries);
  sync(
    parts.waiting,
    waiting.map((job, i) => ({ key: job.job_id, value: [job.status, job.waiting_for, i], make: () => waitingBubble(job, i, tenant) })),
  );
  const more = conversation.pending - waiting.length;
  fill(parts.rest, waiting.length === WAITING && more > 0 ? `and ${counted(more, "more message")} behind these` : null);
  fill(parts.about, about(messages, conversation), unanswered(conversation.key, jobs, tenant));
  if (!messages.length && !waiting.length) fill(parts.earlier, empty(...nothing(jobs)));
}

/** What is said where nothing is remembered and nothing waits. */
function nothing(jobs) {
  if (jobs.some((job) => job.erased)) return ["Nothing is remembered", "What was said was erased."];
  if (jobs.some((job) => UNANSWERED.includes(job.status)))
    return ["No message has been answered", "What was not answered is not remembered."];
  return ["Nothing is remembered", "It was erased, or is too old to be kept."];
}

/** Links to the jobs whose messages were not answered: they are not in what was said. */
function unanswered(session_id, jobs, tenant) {
  const links = UNANSWERED.map((status) => {
    const n = jobs.filter((job) => job.status === status).length;
    const words = `${counted(n, "message")} ${status}`;
    return n ? h("a", { href: `/console/jobs${written({ session_id, status, tenant })}` }, words) : null;
  }).filter(Boolean);
  const of = jobs.length === NEWEST ? `Of the newest ${NEWEST}: ` : null;
  return links.length ? h("span.row", {}, of, links) : null;
}

function entriesOf(messages, from, tenant) {
  const entries = [];
  let marked = from === null || from === undefined;
  for (const [i, item] of messages.entries()) {
    if (!marked && item.seq >= from) {
      entries.push({
        key: "memory",
        value: from,
        make: () => h("li.memory", {}, h("span", {}, "The next message remembers from here")),
      });
      marked = true;
    }
    const foot = () =>
      h("span.row", {}, h("a", { href: jobPath(item.job_id, tenant) }, `no. ${item.seq}`), time(item.created_at));
    entries.push({ key: `${item.job_id}-${item.seq}-${i}`, value: item, make: () => shown(item, foot()) });
  }
  return entries;
}

function waitingBubble(job, i, tenant) {
  const text = job.message ? textOf(job.message) : `Message ${job.seq}`;
  const link = h("a", { href: jobPath(job.job_id, tenant) }, "Timeline");
  const before = (id) => h("a", { href: jobPath(id, tenant) }, `no. ${job.seq - 1}`);
  const cause = waitsFor(job, before);
  const why = cause ? h("span", {}, "waiting for ", cause) : null;
  const one = bubble("user", text, h("span.row", {}, jobBadge(job.status), why, link));
  one.classList.add("waiting");
  one.dataset.place = String(i);
  return one;
}

function about(messages, { pending, remembered_from: from }) {
  const waiting = pending ? `${counted(pending, "message")} ${pending === 1 ? "waits" : "wait"}. ` : "";
  if (!messages.length) return waiting;
  if (from === null) return `${waiting}The next message remembers nothing of this.`;
  return waiting;
}

async function erase(key, tenant) {
  const words =
    "What was said is erased, also in ended jobs and settled callbacks. Messages that still wait are answered and delivered, but not remembered.";
  const { path, query } = addressOf(key);
  const act = () => remove(path, { ...query, tenant });
  if (
    await ask({
      title: "Erase this conversation's memory?",
      body: h("p", {}, words),
      action: "Erase",
      danger: true,
      act,
    })
  ) {
    toast("The memory was erased.");
    go(`/console/conversations${written({ tenant })}`);
  }
}
