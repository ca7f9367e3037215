/** What a page gets: where it draws, its address, the session and the feed. Everything it starts ends when it is left. */

export class View {
  #left = new AbortController();

  constructor(root, { params, query, session, feed }) {
    Object.assign(this, { root, params, query, session, feed });
  }

  /** Aborted when the page is left. */
  get signal() {
    return this.#left.signal;
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

  /**
   * Calls `work` again and again, `milliseconds` after it ended, while the page is looked at; slower after a failure.
   * `work` returns false once there is nothing more to find out, or for how long it waits next.
   */
  async every(milliseconds, work) {
    let wait = milliseconds;
    while (!this.signal.aborted) {
      await pause(wait, this.signal);
      if (this.signal.aborted) return;
      if (document.hidden) continue;
      try {
        const next = await work();
        if (next === false) return;
        wait = typeof next === "number" ? next : milliseconds;
      } catch (error) {
        if (error.name === "AbortError") return;
        wait = Math.max((error.retryAfter ?? 0) * 1000, Math.min(wait * 2, 30_000));
      }
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
