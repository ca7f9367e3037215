/** One connection to the live feed (GET /v1/feed). */

const RETRY_MS = 10_000;
/** A service that stands still closes no connection: where nothing came for so long it is asked whether it answers, */
const QUIET_MS = 10_000;
/** within this time. */
const ANSWER_MS = 2500;

export class FeedSource {
  #source = null;
  #retry = null;
  #quiet = null;
  #report;

  /** `report` gets `{state}` ("off", "live" or "lost"), `{broken: true}` at each failure, and `{name, detail}` of events. */
  constructor(report) {
    this.#report = report;
  }

  open() {
    if (this.#source !== null) return;
    clearTimeout(this.#retry);
    const source = new EventSource("/v1/feed");
    source.onopen = () => {
      this.#report({ state: "live" });
      this.#askIn(QUIET_MS, source);
    };
    source.onerror = () => this.#failed(source);
    for (const name of ["overview", "jobs"]) {
      source.addEventListener(name, (event) => {
        this.#report({ name, detail: JSON.parse(event.data) });
        this.#askIn(QUIET_MS, source);
      });
    }
    this.#source = source;
  }

  close() {
    clearTimeout(this.#retry);
    clearTimeout(this.#quiet);
    this.#source?.close();
    this.#source = null;
    this.#report({ state: "off" });
  }

  #askIn(milliseconds, source) {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#ask(source), milliseconds);
  }

  /** Whether the service answers at all. */
  async #ask(source) {
    const asked = fetch("/v1/session?optional=true", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    const answers = await asked.then(() => true, () => false);
    if (source !== this.#source || source.readyState !== EventSource.OPEN) return;
    this.#report({ state: answers ? "live" : "lost" });
    this.#askIn(answers ? QUIET_MS : ANSWER_MS, source);
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
