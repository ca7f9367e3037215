/** States in a word and a colour. */

import { h } from "../dom.js";

/** By a state: its tone, its word, and what it means, where the word does not say it. */
const JOB = {
  scheduled: ["warn", "Scheduled", "tried again later"],
  queued: ["", "Queued", "waits for a free worker"],
  held: ["", "Held", "waits for an earlier message"],
  running: ["busy", "Running", "the LLM is being asked"],
  awaiting: ["busy", "Awaiting", "the LLM calls back"],
  quarantined: ["warn", "Quarantined", "its workers were lost twice; runs alone"],
  completed: ["good", "Completed"],
  failed: ["bad", "Failed"],
  cancelled: ["", "Cancelled"],
  expired: ["bad", "Expired", "not answered by its deadline"],
};

const DELIVERY = {
  held: ["", "Held", "waits for an earlier callback"],
  pending: ["warn", "Pending", "waits for its next attempt"],
  sending: ["busy", "Sending"],
  delivered: ["good", "Delivered"],
  dead: ["bad", "Dead", "given up; can be resent"],
};

/** The states to choose from, each with what it means. */
const choices = (known) => Object.entries(known).map(([state, [, ...words]]) => [state, words.join(": ")]);

export const JOB_STATES = choices(JOB);
export const DELIVERY_STATES = choices(DELIVERY);
export const ENDED = ["completed", "failed", "cancelled", "expired"];

/** A state that is not known is a newer version's. */
const shown = (known, state) => {
  const [tone, word, meaning] = known[state] ?? ["", state];
  return h("span.badge", { class: tone, title: meaning }, word);
};

export const jobBadge = (state) => shown(JOB, state);
export const deliveryBadge = (state) => shown(DELIVERY, state);
export const badge = (word, tone = "") => h("span.badge", { class: tone }, word);
export const label = (word, tone = "") => h("span.badge.plain", { class: tone }, word);

/** What the state of a job means, where its word does not say it. */
export const meaningOf = (state) => JOB[state]?.[2];

/** The tone of a timeline's dot. */
export const toneOf = (state) => (JOB[state] ?? DELIVERY[state] ?? [""])[0];
