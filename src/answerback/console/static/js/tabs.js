/** What the tabs of a browser say to each other: they share one cookie, and so one key. */

export class Tabs {
  #channel = new BroadcastChannel("answerback");

  /** `on` has what to do when another tab has `left` (signed out), `lost` its key, or `entered` (signed in). */
  constructor(on) {
    this.#channel.onmessage = ({ data }) => on[data]?.();
  }

  say(what) {
    this.#channel.postMessage(what);
  }
}
