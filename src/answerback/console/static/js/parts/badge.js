/** States in a word and a colour. */

import { h } from "../dom.js";

const JOB = {
  scheduled: ["warn", "Scheduled"],
  queued: ["", "Queued"],
  held: ["", "Held"],
  running: ["busy", "Running"],
  awaiting: ["busy", "Awaiting"],
  quarantined: ["warn", "Quarantined"],
  completed: ["good", "Completed"],
  failed: ["bad", "Failed"],
  cancelled: ["", "Cancelled"],
  expired: ["bad", "Expired"],
};

const DELIVERY = {
  held: ["", "Held"],
  pending: ["warn", "Pending"],
  sending: ["busy", "Sending"],
  delivered: ["good", "Delivered"],
  dead: ["bad", "Dead"],
};

export const JOB_STATES = Object.keys(JOB);
export const DELIVERY_STATES = Object.keys(DELIVERY);
export const ENDED = ["completed", "failed", "cancelled", "expired"];

/** A state that is not known is a newer version's. */
const shown = (known, state) => {
  const [tone, word] = known[state] ?? ["", state];
  return h("span.badge", { class: tone }, word);
};

export const jobBadge = (state) => shown(JOB, state);
export const deliveryBadge = (state) => shown(DELIVERY, state);
export const badge = (word, tone = "") => h("span.badge", { class: tone }, word);
export const label = (word, tone = "") => h("span.badge.plain", { class: tone }, word);

/** The tone of a timeline's dot. */
export const toneOf = (state) => (JOB[state] ?? DELIVERY[state] ?? [""])[0];
