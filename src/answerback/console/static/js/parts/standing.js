/** How a provider or a receiver is: in the same words wherever it is shown. */

import { h } from "../dom.js";
import { sentence, serverOf } from "../format.js";
import { time } from "../time.js";
import { badge } from "./badge.js";
import { inline } from "./text.js";

/** `one` is a provider of GET /v1/overview or GET /v1/providers. */
export function standing({ reachable, since }) {
  if (reachable === null) return badge("No answer yet");
  const state = reachable ? badge("Reachable", "good") : badge("Not reachable", "bad");
  return h("span.row", {}, state, since ? h("span.small.muted.nowrap", {}, "for ", time(since, "for")) : null);
}

/** Until when it rests, and why; null if it does not. A rest of one `model` leaves the others. */
export function rest({ resting_until: until, reason, model = null }) {
  if (!until) return null;
  const why = reason ? `: ${sentence(reason)}` : null;
  const whole = badge("Resting", "warn");
  const state = model === null ? whole : [whole, h("span.small", {}, inline(model))];
  return h("span.row", {}, state, h("span.small.muted", {}, "ends ", time(until, "left"), why));
}

/** Of a provider of GET /v1/providers: each of its rests. */
export const rests = (one) =>
  one.rests.map(({ model, until, reason }) => rest({ resting_until: until, reason, model }));

/** So many of those that are held, and of those that are dead, GET /v1/receivers looks at: the newest. */
export const NEWEST = 1000;

/** Of a failing path of a receiver. */
export const problemAt = ({ url, error }) => `${error}: ${url.slice(serverOf(url).length - 1)}`;

/** Of a receiver of GET /v1/receivers. */
export function health({ healthy, failing }) {
  if (healthy === null) return badge("Not called yet");
  if (!healthy) return badge("Failing", "bad");
  return failing.length ? badge("Partly failing", "warn") : badge("Healthy", "good");
}
