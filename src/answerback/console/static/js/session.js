/** Who uses the console. The key goes into a cookie that scripts cannot read; here it stays until the page is left. */

import { ApiError, call, get } from "./api.js";

/** What a header can hold: fetch() fails for anything else as it does where nobody answers. */
const KEY = /^[\x21-\x7e]+$/;
const NOT_VALID = "this key is not valid: it has a character that no key has; copy it once more";

export class Session {
  #key = null;
  /** Whether a key is being made that ends this session: what is refused meanwhile empties no page. */
  #ending = false;
  #ended = new AbortController();

  constructor(facts) {
    Object.assign(this, facts);
  }

  /** Raises ApiError: 401 where a key is needed, which is asked so that a browser logs no error. */
  static async current() {
    const facts = await get("/v1/session", { optional: true });
    if (facts) return new Session(facts);
    dispatchEvent(new CustomEvent("signed-out"));
    throw new ApiError(401, "unauthorized", "This service asks for a key.");
  }

  /** Raises ApiError: 401 for a key that is not valid. */
  static async signIn(key) {
    if (!KEY.test(key)) throw new ApiError(401, "unauthorized", NOT_VALID);
    await call("POST", "/v1/session", { headers: { Authorization: `Bearer ${key}` } });
    const session = await Session.current();
    session.#key = key;
    return session;
  }

  static async signOut() {
    await call("DELETE", "/v1/session");
  }

  /** The first key of a service, by `make`; this browser is signed in with it. Its maker sees it before the page goes. */
  async first(make) {
    this.#ending = true;
    try {
      const made = await make();
      await Session.signIn(made.key).then(
        () => dispatchEvent(new Event("signed-in")),
        () => null,
      );
      return made;
    } catch (error) {
      this.#ending = false;
      if (error.status === 401) dispatchEvent(new Event("signed-out"));
      throw error;
    }
  }

  get isEnding() {
    return this.#ending;
  }

  /** Aborted when the reader has signed out, or the key is valid no more. */
  get signal() {
    return this.#ended.signal;
  }

  end() {
    this.#ended.abort();
  }

  /** The key for commands that are copied, null where none is needed; what stands for it where it is not known. */
  get copiedKey() {
    return this.keyless ? null : (this.#key ?? "YOUR_KEY");
  }

  get knowsKey() {
    return this.keyless || this.#key !== null;
  }

  /** Keeps the key for commands that are copied. Raises an error unless it is the one of this session. */
  async know(key) {
    const given = KEY.test(key) && { optional: true };
    const facts = given && (await call("GET", "/v1/session", { query: given, headers: { Authorization: `Bearer ${key}` } }));
    if (!facts) throw new Error("This key is not valid.");
    if (facts.key?.id !== this.key?.id) throw new Error("This is not the key that you are signed in with.");
    this.#key = key;
  }

  get name() {
    if (this.keyless) return "No keys yet";
    return this.key?.name ?? this.tenant;
  }
}
