/** A chat with a model, by OpenAI's chat completions; the answer streams. */

import { eventsOf, send } from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { span } from "../time.js";
import { Answer } from "./answer.js";
import { empty, failure } from "./notice.js";
import { chatSamples } from "./samples.js";
import { bubble, composer, transcript } from "./talk.js";
import { copyButton } from "./text.js";

const EXAMPLE = "Say hello in three languages.";
const FRAME_MS = 16;
/** The share of the time that goes into drawing an answer while it comes, so that the page stays quick. */
const DRAWING = 1 / 4;

export class Chat {
  #messages = [];
  #sent = [];
  #stopping = null;

  constructor(view, settings) {
    this.view = view;
    this.settings = settings;
    this.log = transcript("Chat", empty("Ask something", "The answer appears here as it comes."));
    const act = { send: (text) => this.#send(text), stop: () => this.#stopping?.abort() };
    this.composer = composer({ value: EXAMPLE, check: settings.check, ...act });
    this.element = h("section.card.talk", {}, this.log.element, this.log.news, this.composer.element);
    view.signal.addEventListener("abort", () => this.#stopping?.abort());
  }

  focus() {
    this.composer.text.focus({ preventScroll: true });
    this.composer.text.select();
  }

  samples(key) {
    const next = this.composer.text.value.trim();
    const asked = next ? [...this.#messages, { role: "user", content: next }] : this.#sent;
    return chatSamples(this.#body(asked), key);
  }

  #body(messages) {
    const { system, ...parameters } = this.settings.read();
    const all = system ? [{ role: "system", content: system }, ...messages] : messages;
    return { model: this.view.session.default_model, ...parameters, messages: all, stream: true };
  }

  async #send(text) {
    this.#messages.push({ role: "user", content: text });
    this.#sent = [...this.#messages];
    this.log.add(bubble("user", text));
    const answer = new Answer();
    const foot = h("div.row", {}, "…");
    this.log.add(bubble("assistant", answer.element, foot));
    this.#stopping = new AbortController();
    try {
      await this.#read(answer);
      fill(foot, ending(answer), copyButton(answer.text, "Copy the answer"));
      if (answer.isEmpty) fill(answer.said, h("span.muted", {}, "No text."));
      this.log.say(`Answer: ${answer.text}`);
      this.#messages.push({ role: "assistant", content: answer.text });
    } catch (error) {
      answer.element.hidden = answer.isEmpty && answer.thinking.hidden;
      if (answer.isEmpty) this.#messages.pop();
      else this.#messages.push({ role: "assistant", content: answer.text });
      fill(foot, error.name === "AbortError" ? "Stopped." : failure(error));
    }
    return !answer.isEmpty;
  }

  async #read(answer) {
    const body = { ...this.#body(this.#messages), stream_options: { include_usage: true } };
    const response = await send("POST", "/v1/chat/completions", { body, signal: this.#stopping.signal });
    let wait = FRAME_MS;
    let asked = null;
    const draw = () => {
      const began = performance.now();
      this.log.grow(() => answer.draw());
      wait = Math.max(FRAME_MS, (performance.now() - began) / DRAWING);
    };
    for await (const { data } of eventsOf(response)) {
      if (data === "[DONE]") break;
      answer.take(JSON.parse(data));
      asked ??= setTimeout(() => ((asked = null), draw()), wait);
    }
    draw();
    if (answer.finish === null) throw new Error("The answer broke off.");
  }
}

function ending({ finish, usage, started }) {
  const took = span((performance.now() - started) / 1000);
  const cut = finish === "length" ? "cut at the length limit" : finish === "stop" ? null : finish;
  return [took, usage && `${number(usage.total_tokens)} tokens`, cut].filter(Boolean).join(" · ");
}
