/** Times in the reader's zone: how long ago, with the exact time in the title; all of a page move on together. */

import { serviceNow } from "./clock.js";
import { h } from "./dom.js";

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DATED = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const MINUTE = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** What is due begins within this time, unless its receiver rests or no worker has room. */
const OVERDUE_SECONDS = 3;

export const exact = (at) => EXACT.format(new Date(at));
export const minute = (at) => MINUTE.format(new Date(at));

/**
 * `at` is RFC 3339 or epoch milliseconds. `form`: "ago" (also "in 5 s"), "for", "clock" (with the day, unless it
 * is today), "left" (a countdown), "next"
 * (one to what may begin later than it is due), or "due" (one to an attempt, in words).
 */
export function time(at, form = "ago") {
  if (at === null || at === undefined) return h("span.muted", {}, "–");
  const iso = new Date(at).toISOString();
  return h("time.nowrap", { datetime: iso, title: exact(at), "data-form": form }, words(at, form));
}

export function words(at, form, now = serviceNow()) {
  const seconds = (new Date(at).getTime() - now) / 1000;
  if (form === "clock") return (isOneDay(at, now) ? CLOCK : DATED).format(new Date(at));
  if (form === "for") return span(Math.max(1, Math.floor(-seconds)));
  if (form === "due") return due(seconds);
  if (form === "next" && seconds < -OVERDUE_SECONDS) return "due";
  if (form === "left" || form === "next") return seconds > 0 ? `in ${span(Math.ceil(seconds))}` : "now";
  if (Math.abs(seconds) > 7 * 86400) return DAY.format(new Date(at));
  if (Math.abs(seconds) < 1) return "just now";
  return seconds < 0 ? `${span(Math.floor(-seconds))} ago` : `in ${span(Math.ceil(seconds))}`;
}

const isOneDay = (one, other) => new Date(one).toDateString() === new Date(other).toDateString();

/** An attempt that did not begin when it was due waits for its receiver. */
function due(seconds) {
  if (seconds < -OVERDUE_SECONDS) return "Due; its receiver rests";
  return seconds > 0 ? `Next attempt in ${span(Math.ceil(seconds))}` : "Next attempt now";
}

/** A length of time in two units at most: "340 ms", "1.2 s", "5 min", "3 h 20 min". */
export function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return two(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return two(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

const two = (large, unit, small, smaller) => (small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`);

/** Keeps every time of the document true. */
export function tick() {
  for (const each of document.querySelectorAll("time[data-form]")) {
    const now = words(each.dateTime, each.dataset.form);
    if (each.textContent !== now) each.textContent = now;
  }
}
