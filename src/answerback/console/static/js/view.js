/** What a page gets: where it draws, its address, the session and the feed. Everything it starts ends when it is left. */

import { fill, h } from "./dom.js";

/** A connection that breaks for less is not worth a word. */
const PATIENCE_MS = 4000;
/** The least time between two reads of what is `live`; after each that followed a change it grows, */
const SOON_MS = 1000;
const GROWTH = 1.5;
/** up to this, while changes do not stop: for so long there was none. */
const LATE_MS = 30_000;
const QUIET_MS = 10_000;
/** When it is read although nothing is known to have changed. */
const REREAD_MS = 30_000;
const LOOK_MS = 250;
const GONE = "This is not kept any more: what is shown is what was there before.";
const INTERRUPTED = "The connection to the service is interrupted. What is shown may have changed.";

export class View {
  #left = new AbortController();
  /** Why what is shown may not be the newest: of the feed, and of what was read last. */
  #late = { feed: null, read: null };

  constructor(root, { params, query, session, feed }) {
    Object.assign(this, { root, params, query, session, feed });
    /** Says that what is shown is no longer the newest, and why. */
    this.late = h("div", { role: "status" });
    this.#watch();
  }

  /** Aborted when the page is left. */
  get signal() {
    return this.#left.signal;
  }

  /** The tenant that the address names, null for the reader's own. */
  get tenant() {
    const named = this.query.get("tenant");
    return named === this.session.tenant ? null : named;
  }

  leave() {
    this.#left.abort();
  }

  /** Calls `listener` with what an event of the feed says, at once if it came before. */
  onFeed(name, listener) {
    const last = this.feed.last(name);
    if (last !== null) listener(last);
    this.feed.addEventListener(name, (event) => listener(event.detail), { signal: this.signal });
  }

  /** The same; until the feed says something it is what `read` brings, which may come after. */
  async onLatest(name, read, listener) {
    this.onFeed(name, listener);
    if (this.feed.last(name) !== null) return;
    const found = await read();
    if (this.feed.last(name) === null) listener(found);
  }

  /**
   * Calls `work` again and again, `milliseconds` after it ended, while the page is looked at; slower after a failure.
   * `work` returns false once there is nothing more to find out, null if it did not ask, or for how long it waits next.
   */
  async every(milliseconds, work) {
    let wait = milliseconds;
    while (!this.signal.aborted) {
      await pause(wait, this.signal);
      if (this.signal.aborted) return;
      if (document.hidden) continue;
      try {
        const next = await work();
        if (next !== null) this.#say({ read: null });
        if (next === false) return;
        wait = typeof next === "number" ? next : milliseconds;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (error.status === 404) return this.#say({ read: GONE });
        this.#say({ read: `${error.message} What is shown may have changed; it is read again.` });
        wait = Math.max((error.retryAfter ?? 0) * 1000, Math.min(wait * 2, 30_000));
      }
    }
  }

  /**
   * Reads again soon after the feed says of a change that `concerns` it, now and then for what the feed does not say, and
   * when the page is looked at again. While changes do not stop it is read less and less often, `late` at the latest; if
   * more jobs come than the feed says of, no more often than that. `at` is a time that is waited for as for a change.
   * `read` may return how long it waits at least until it is read again; `looked` is whether the page is looked at again.
   */
  live(read, { concerns = () => true, late = LATE_MS, at = () => Infinity } = {}) {
    let readAt = Date.now() - SOON_MS;
    let movedAt = 0;
    let apart = SOON_MS;
    let least = 0;
    /** When a change is shown at the latest, unless there are more: null if there was none since the last read. */
    let settled = null;
    let isLookedAt = false;
    const look = () => (isLookedAt = true);
    const move = (name, detail) => {
      if (!concerns(name, detail)) return;
      const now = Date.now();
      if (this.feed.isFlooded) apart = late;
      else if (now - movedAt > QUIET_MS) apart = SOON_MS;
      settled = now + Math.min(late, Math.max(QUIET_MS, 2 * (now - movedAt)));
      movedAt = now;
    };
    const due = () => {
      if (isLookedAt || (readAt < at() && Date.now() >= at())) return 0;
      const changed = settled === null ? Infinity : Math.min(readAt + apart, settled);
      return Math.max(readAt + least, Math.min(readAt + REREAD_MS, changed));
    };
    document.addEventListener("visibilitychange", look, { signal: this.signal });
    addEventListener("focus", look, { signal: this.signal });
    for (const name of ["overview", "jobs"])
      this.feed.addEventListener(name, ({ detail }) => move(name, detail), { signal: this.signal });
    this.every(LOOK_MS, async () => {
      if (Date.now() < due()) return null;
      if (settled !== null) apart = Math.min(GROWTH * apart, late);
      readAt = Date.now();
      settled = null;
      const looked = isLookedAt;
      isLookedAt = false;
      try {
        least = (await read({ looked })) ?? 0;
      } catch (error) {
        settled = readAt;
        throw error;
      }
    });
  }

  /** Does what the reader asked for; where that fails, the page stays as it is and says why. */
  async again(work) {
    try {
      await work();
      this.#say({ read: null });
    } catch (error) {
      if (error.name !== "AbortError") this.#say({ read: `${error.message} What is shown is what was there before.` });
    }
  }

  #say(why) {
    Object.assign(this.#late, why);
    const words = this.#late.read ?? this.#late.feed;
    if (words !== this.late.textContent) fill(this.late, words && h("p.notice.warn.late", {}, words));
  }

  #watch() {
    const changed = async () => {
      if (this.feed.state === "lost") await pause(PATIENCE_MS, this.signal);
      if (this.signal.aborted) return;
      this.#say({ feed: this.feed.state === "lost" ? INTERRUPTED : null });
    };
    this.feed.addEventListener("state", changed, { signal: this.signal });
    changed();
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
