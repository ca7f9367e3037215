/** What a page gets: where it draws, its address, the session and the feed. Everything it starts ends when it is left. */

import { fill, h } from "./dom.js";

/** A connection that breaks for less is not worth a word. */
const PATIENCE_MS = 4000;
/** How long a change waits until it is shown by what is `live`. */
const SOON_MS = 2000;
const REREAD_MS = 10_000;
/** The longest that a change waits while changes do not stop. */
const LATE_MS = 16_000;
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
        this.#say({ read: `${error.message} What is shown may have changed; it is read again.` });
        wait = Math.max((error.retryAfter ?? 0) * 1000, Math.min(wait * 2, 30_000));
      }
    }
  }

  /**
   * Reads again now and then, when the page is looked at again, and, unless it `isSlow`, soon after jobs moved; less and
   * less often while they do not stop.
   */
  live(read, { isSlow = false } = {}) {
    let due = Date.now() + REREAD_MS;
    let apart = SOON_MS;
    let readAt = 0;
    let movedAt = 0;
    const look = () => (due = 0);
    const move = () => {
      const now = Date.now();
      if (now - movedAt > 2 * SOON_MS) apart = SOON_MS;
      movedAt = now;
      due = Math.min(due, readAt + apart);
    };
    document.addEventListener("visibilitychange", look, { signal: this.signal });
    addEventListener("focus", look, { signal: this.signal });
    if (!isSlow) this.feed.addEventListener("jobs", move, { signal: this.signal });
    this.every(SOON_MS, async () => {
      if (Date.now() < due) return null;
      readAt = Date.now();
      apart = Math.min(2 * apart, LATE_MS);
      due = readAt + (movedAt > readAt - 2 * SOON_MS ? Math.max(apart, REREAD_MS) : REREAD_MS);
      await read();
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
