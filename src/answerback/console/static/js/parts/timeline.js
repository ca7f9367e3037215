/** What happened to a job, in order: accepted, waited, each attempt, its end, each callback and each of its attempts. */

import { post, written } from "../api.js";
import { serviceNow } from "../clock.js";
import { h } from "../dom.js";
import { counted, number, sentence } from "../format.js";
import { jobPath } from "../router.js";
import { exact, span, time } from "../time.js";
import { deliveryBadge, ENDED, toneOf } from "./badge.js";
import { attempt, toast } from "./notice.js";
import { said } from "./text.js";

/**
 * `read` is called after something was done to a delivery; `behind` is the job that ended before this one could begin;
 * `tenant` is another's than the reader's own.
 */
export function timeline(one, { read, behind, tenant }) {
  const linkTo = (id) => h("a.mono", { href: jobPath(id, tenant) }, id);
  const steps = [
    accepted(one),
    ...tries(one, behind && linkTo(behind)),
    standing(one, linkTo),
    end(one),
    ...one.deliveries.map((each) => delivery(each, { read, tenant, linkTo })),
  ];
  return h("ol.timeline", {}, steps.filter(Boolean));
}

function step(tone, title, at, ...about) {
  const when = at
    ? h("time.nowrap.muted.small", { datetime: at, title: exact(at) }, time(at, "clock").textContent)
    : null;
  return h("li", { class: tone }, h("div.step-head", {}, h("span.strong", {}, title), when), about);
}

/** What is due within this time is due now: clocks differ. */
const SOON_MS = 2000;

const line = (...words) => h("p.muted.small.wrap", {}, words);

function accepted(job) {
  const place = job.seq ? `Number ${job.seq} of its conversation.` : null;
  return step("mark", "Accepted", job.created_at, line("Stored on disk. ", place));
}

/** The waits and attempts, but for the attempt under way; `behind` links to the job that it waited for first. */
function tries(job, behind) {
  const shown = [];
  let since = job.created_at;
  let last = null;
  for (const [i, each] of job.attempts.entries()) {
    const isFree = each.number === (job.attempts[i + 1]?.number ?? numberNow(job));
    shown.push(waited(since, each.started_at, last, each, behind), tried(each, isFree));
    since = each.finished_at;
    last = each;
  }
  const left = (job.attempts_made ?? 0) - job.attempts.length;
  if (left > 0) shown.splice(-1, 0, step("wait", `${left} more attempts, not kept`, null));
  if (job.status === "running") shown.push(waited(since, job.claimed_at, last, underWay(job, last), behind));
  return shown;
}

/** The number of the attempt under way, or of the next one. One that cost no attempt has that of the one after it. */
function numberNow({ status, attempt }) {
  if (ENDED.includes(status)) return null;
  return status === "running" ? attempt : attempt + 1;
}

/** Between the attempt `last`, null before the first one, and the `next`; a short wait that says nothing is not shown. */
function waited(since, until, last, next, behind) {
  const seconds = (new Date(until) - new Date(since)) / 1000;
  if (seconds < 0.1 && !next.put_off) return null;
  return step("wait", `Waited ${span(seconds)}`, null, whatFor(last, behind, next, until));
}

/** The attempt under way, as far as waiting goes: what the job was put off for, unasked, is its error until it ends. */
function underWay({ error }, last) {
  return { put_off: null, put_off_for: isOf(error, last) ? null : error };
}

const isOf = (error, attempt) => error && attempt?.error === `${error.code}: ${error.message}`;

function whatFor(last, behind, { put_off: times, put_off_for: quota }, until) {
  if (times || quota || last?.http_status === 429) {
    const cause = quota
      ? ["For the provider: ", h("bdi", {}, quota.message)]
      : "For the provider, which rested or whose quota was used up";
    const often = times ? `, put off ${counted(times, "time")}` : null;
    return line(cause, often, ", until ", time(until, "clock"), ".");
  }
  if (last === null) return line(behind ? ["Behind ", behind, " of its conversation."] : "For a free worker.");
  return line("For another try.");
}

const GOOD = ["answered", "handed_over", "completed", "delivered"];
const BAD = ["failed", "dead", "lost", "expired"];
const WORDS = {
  answered: "answered",
  handed_over: "handed over",
  retry: "failed",
  lost: "the worker stopped",
  released: "given back",
};

function tried(one, isFree) {
  const took = one.duration_ms === null ? null : span(one.duration_ms / 1000);
  const status = one.http_status ? `HTTP ${one.http_status}` : null;
  const facts = [words(one.status), status, took && `took ${took}`].filter(Boolean).join(" · ");
  const remark = one.remark && one.remark !== one.error ? line("For operators: ", h("bdi", {}, one.remark)) : null;
  return step(
    toneOfAttempt(one.status),
    isFree ? "Asked the LLM, costs no attempt" : `Asked the LLM, attempt ${one.number}`,
    one.started_at,
    line(facts),
    reason(one.error),
    remark,
  );
}

const toneOfAttempt = (status) => (GOOD.includes(status) ? "good" : BAD.includes(status) ? "bad" : "warn");
const words = (status) => WORDS[status] ?? String(status).replaceAll("_", " ");
const reason = (text) => (text ? h("div.reason", {}, said(text)) : null);

const STANDING = {
  queued: ["busy now", "Waits in the queue"],
  held: ["busy now", "Waits for its turn"],
  scheduled: ["warn now", "Will be asked again"],
  awaiting: ["busy now", "Waits for the LLM's callback"],
  quarantined: ["warn now", "Quarantined"],
};

/** Where an open job stands now. */
function standing(one, linkTo) {
  if (ENDED.includes(one.status)) return null;
  if (one.status === "running") return step("busy now", `Asking the LLM, attempt ${one.attempt}`, one.claimed_at);
  const [tone, words] = STANDING[one.status] ?? ["busy now", one.status];
  const why = one.error && !isOf(one.error, one.attempts.at(-1)) ? reason(one.error.message) : null;
  return step(tone, words, null, because(one, linkTo), why);
}

/** What it waits for, as the service says. */
function because({ waiting_for: cause }, linkTo) {
  switch (cause?.reason) {
    case "job":
      return line("Behind ", cause.job_id ? linkTo(cause.job_id) : "an earlier message", " of its conversation.");
    case "worker":
      return line("A worker takes it as soon as one has room.");
    case "retry":
      return line(cause.code ? `${sentence(cause.code)}. ` : null, "Next attempt ", time(cause.until, "next"), ".");
    case "callback":
      return line("At the latest ", time(cause.until, "left"), ".");
    case "quarantine":
      return line("Its workers were lost twice. It runs alone, once no other such job does.");
    default:
      return null;
  }
}

function end(job) {
  if (!ENDED.includes(job.status)) return null;
  const title = { completed: "Answered", failed: "Failed", cancelled: "Cancelled", expired: "Expired" }[job.status];
  const facts = [
    job.model,
    job.usage && `${number(job.usage.total_tokens)} tokens`,
    job.finish_reason && `finish reason ${job.finish_reason}`,
  ];
  const said = job.error ? [h("p.small", {}, h("code", {}, job.error.code)), reason(job.error.message)] : null;
  const about = job.status === "completed" ? line(facts.filter(Boolean).join(" · ")) : null;
  return step(toneOf(job.status), title, job.completed_at, about, said);
}

function delivery(one, { read, tenant, linkTo }) {
  const title = h("span.row", {}, one.endpoint_id ? "Event to an endpoint" : "Callback", deliveryBadge(one.status));
  const settled = ["delivered", "dead", "pending"].includes(one.status) && !one.erased;
  const act = ({ currentTarget }) => resend(one, currentTarget, read, tenant);
  const again = settled
    ? h("button.button.tight", { type: "button", "data-act": one.id, onclick: act }, "Resend")
    : null;
  return h(
    "li",
    { class: `${toneOf(one.status)} ${["delivered", "dead"].includes(one.status) ? "" : "now"}` },
    h("div.step-head", {}, h("span.strong", {}, title), again),
    h("p.small.wrap", {}, h("bdi", {}, one.url)),
    line(h("span.mono", {}, one.id)),
    one.erased ? line("Its body was erased with its conversation: it cannot be sent again.") : null,
    one.attempts.length ? h("ol.attempts", {}, calls(one)) : null,
    next(one, { linkTo, tenant }),
  );
}

const calls = ({ status, attempt: made, attempts }) => {
  const pending = status === "pending" ? made + 1 : null;
  return attempts.map((each, i) => called(each, isFree(each, attempts[i + 1]?.number ?? pending)));
};

/** A try before its turn in the schedule, without a response: what comes next has its number. A resend begins at 1. */
const isFree = ({ number, http_status: got }, next) => number > 1 && got === null && number === next;

function called(one, free) {
  const outcome = one.http_status ? `HTTP ${one.http_status}` : words(one.status);
  const took = one.duration_ms === null ? "" : ` after ${span(one.duration_ms / 1000)}`;
  const snippet = one.response_snippet ? h("div.reason", {}, said(one.response_snippet, "div.said.mono")) : null;
  const head = h(
    "div.step-head",
    {},
    h("span", {}, `${free ? "Tried, costs no attempt" : `Attempt ${one.number}`}: ${outcome}${took}`),
    time(one.started_at, "clock"),
  );
  return h("li", { class: toneOfAttempt(one.status) }, head, one.error ? line(h("bdi", {}, one.error)) : null, snippet);
}

/** What got no response, or was not sent at all while its receiver is down, waits for the next try there. */
const isTroubled = ({ attempts }) => (attempts.at(-1)?.http_status ?? null) === null;

const trouble = (tenant) => [" · ", h("a", { href: `/console/receivers${written({ tenant })}` }, "Its receiver")];

function next(one, { linkTo, tenant }) {
  if (one.held_by) return line("Waits until the callback of ", linkTo(one.held_by), " has ended.");
  if (one.status === "dead") return line("Given up: nothing is sent again by itself.");
  if (!one.next_attempt_at) return null;
  return [isPutOff(one) ? line("Not sent yet: its receiver could not be reached before.") : null, countdown(one, tenant)];
}

/** A first attempt that is not due at once waits for the next try at a receiver that is down. */
const isPutOff = ({ attempts, next_attempt_at: at }) => !attempts.length && Date.parse(at) > serviceNow() + SOON_MS;

function countdown(one, tenant) {
  return h("p.small.countdown", {}, time(one.next_attempt_at, "due"), isTroubled(one) ? trouble(tenant) : null);
}

async function resend(one, button, read, tenant) {
  await attempt(button, async () => {
    await post(`/v1/deliveries/${one.id}/resend`, {}, { query: { tenant } });
    toast("The callback will be sent again.");
    await read();
  });
}
