/** Whether a provider can be reached and for how long it has been so: in the same words wherever it is shown. */

import { h } from "../dom.js";
import { time } from "../time.js";
import { badge } from "./badge.js";

/** `one` is a provider of GET /v1/overview or GET /v1/providers. */
export function standing({ reachable, since }) {
  if (reachable === null) return badge("No answer yet");
  const state = reachable ? badge("Reachable", "good") : badge("Not reachable", "bad");
  return h("span.row", {}, state, since ? h("span.small.muted.nowrap", {}, "for ", time(since, "for")) : null);
}
