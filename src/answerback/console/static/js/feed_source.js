/** One connection to the live feed (GET /v1/feed). */

const RETRY_MS = 10_000;

export class FeedSource {
  #source = null;
  #retry = null;
  #report;

  /** `report` gets `{state}` ("off", "live" or "lost"), `{broken: true}` at each failure, and `{name, detail}` of events. */
  constructor(report) {
    this.#report = report;
  }

  open() {
    if (this.#source !== null) return;
    clearTimeout(this.#retry);
    const source = new EventSource("/v1/feed");
    source.onopen = () => this.#report({ state: "live" });
    source.onerror = () => this.#failed(source);
    for (const name of ["overview", "jobs"]) {
      source.addEventListener(name, (event) => this.#report({ name, detail: JSON.parse(event.data) }));
    }
    this.#source = source;
  }

  close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
    this.#report({ state: "off" });
  }

  /** A browser connects again by itself, unless the service refused. */
  #failed(source) {
    this.#report({ broken: true });
    this.#report({ state: "lost" });
    if (source.readyState !== EventSource.CLOSED) return;
    this.#source = null;
    this.#retry = setTimeout(() => this.open(), RETRY_MS);
  }
}
