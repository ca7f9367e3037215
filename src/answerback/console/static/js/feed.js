/** The live feed (GET /v1/feed): open while the page is looked at, shared by all that listen. */

const RETRY_MS = 10_000;

export class Feed extends EventTarget {
  #source = null;
  #retry = null;
  #state = "off";
  #ended = new AbortController();
  #last = new Map();

  /** "off", "live" or "lost". */
  get state() {
    return this.#state;
  }

  /** What came last of this event, or null. */
  last(name) {
    return this.#last.get(name) ?? null;
  }

  start() {
    const look = () => (document.hidden ? this.close() : this.open());
    document.addEventListener("visibilitychange", look, { signal: this.#ended.signal });
    this.open();
  }

  /** Closes it for good. */
  end() {
    this.#ended.abort();
    this.close();
  }

  open() {
    if (this.#source !== null || document.hidden) return;
    clearTimeout(this.#retry);
    const source = new EventSource("/v1/feed");
    source.onopen = () => this.#become("live");
    source.onerror = () => this.#failed(source);
    for (const name of ["overview", "jobs"]) {
      source.addEventListener(name, (event) => this.#came(name, JSON.parse(event.data)));
    }
    this.#source = source;
  }

  close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    this.#become("off");
  }

  /** A browser connects again by itself, unless the service refused. */
  #failed(source) {
    this.dispatchEvent(new Event("broken"));
    this.#become("lost");
    if (source.readyState !== EventSource.CLOSED) return;
    this.#source = null;
    this.#retry = setTimeout(() => this.open(), RETRY_MS);
  }

  #came(name, detail) {
    this.#last.set(name, detail);
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
