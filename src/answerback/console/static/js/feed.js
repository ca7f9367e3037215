/** The live feed (GET /v1/feed): open while the page is looked at, shared by all that listen, and by all windows. */

import { FeedSource } from "./feed_source.js";

export class Feed extends EventTarget {
  #source;
  #open = false;
  #state = "off";
  #ended = new AbortController();
  #last = new Map();
  /** The ids of the newest jobs; none where jobs may have come unnoticed. */
  #newest = new Set();
  /** How many events in a row had no job of the one before. */
  #floods = 0;

  /** Windows with the same `name`, that of their key, share one connection. */
  constructor(name) {
    super();
    const report = (said) => this.#came(said);
    this.#source = globalThis.SharedWorker ? shared(name, report, this.#ended.signal) : new FeedSource(report);
  }

  /** "off", "live" or "lost". */
  get state() {
    return this.#state;
  }

  /** What came last of this event, or null. */
  last(name) {
    return this.#last.get(name) ?? null;
  }

  /** Whether more jobs come, again and again, than an event has. */
  get isFlooded() {
    return this.#floods > 1;
  }

  start() {
    const { signal } = this.#ended;
    document.addEventListener("visibilitychange", () => this.#look(!document.hidden), { signal });
    addEventListener("pagehide", () => this.#look(false), { signal });
    this.#look(!document.hidden);
  }

  /** Closes it for good. */
  end() {
    this.#look(false);
    this.#ended.abort();
  }

  #look(open) {
    if (open === this.#open) return;
    this.#open = open;
    if (open) this.#source.open();
    else this.#source.close();
    if (!open) this.#become("off");
  }

  #came({ state, broken, name, detail }) {
    // What was said before the feed was closed may come after.
    if (!this.#open) return;
    if (state) this.#become(state);
    else if (broken) this.dispatchEvent(new Event("broken"));
    else {
      if (name === "jobs") this.#compare(detail.items.map((job) => job.job_id));
      this.#last.set(name, detail);
      this.dispatchEvent(new CustomEvent(name, { detail }));
    }
  }

  #compare(ids) {
    const isOther = this.#newest.size > 0 && !ids.some((id) => this.#newest.has(id));
    this.#floods = isOther ? this.#floods + 1 : 0;
    this.#newest = new Set(ids);
  }

  #become(state) {
    if (state === this.#state) return;
    if (state !== "live") this.#newest.clear();
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}

/** A window's part of a feed in a shared worker, until the `signal`. */
function shared(name, report, signal) {
  const { port } = new SharedWorker(new URL("./feed_worker.js", import.meta.url), { type: "module", name });
  port.onmessage = ({ data }) => report(data);
  signal.addEventListener("abort", () => port.close());
  return { open: () => port.postMessage("open"), close: () => port.postMessage("close") };
}
