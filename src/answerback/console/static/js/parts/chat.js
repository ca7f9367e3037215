/** A chat with a model, by OpenAI's chat completions; the answer streams. */

import { eventsOf, send } from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { span } from "../time.js";
import { empty, failure } from "./notice.js";
import { chatSamples } from "./samples.js";
import { bubble, composer, transcript } from "./talk.js";
import { append, copyButton } from "./text.js";

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

  samples() {
    const next = this.composer.text.value.trim();
    const asked = next ? [...this.#messages, { role: "user", content: next }] : this.#sent;
    return chatSamples(this.#body(asked), this.view.session.copiedKey);
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
    const place = h("div.said", { dir: "auto" });
    const foot = h("div.row", {}, "…");
    this.log.add(bubble("assistant", place, foot));
    const answer = { text: "", finish: null, usage: null, started: performance.now() };
    this.#stopping = new AbortController();
    try {
      await this.#read(answer, place);
      fill(foot, ending(answer), copyButton(answer.text, "Copy the answer"));
      if (!answer.text) fill(place, h("span.muted", {}, "No text."));
      this.log.say(`Answer: ${answer.text}`);
      this.#messages.push({ role: "assistant", content: answer.text });
    } catch (error) {
      if (!answer.text) this.#messages.pop();
      else this.#messages.push({ role: "assistant", content: answer.text });
      fill(foot, error.name === "AbortError" ? "Stopped." : failure(error));
    }
    return answer.text !== "";
  }

  async #read(answer, place) {
    const body = { ...this.#body(this.#messages), stream_options: { include_usage: true } };
    const response = await send("POST", "/v1/chat/completions", { body, signal: this.#stopping.signal });
    let drawn = 0;
    let wait = FRAME_MS;
    let asked = null;
    const draw = () => {
      const began = performance.now();
      this.log.grow(() => append(place, answer.text.slice(drawn)));
      drawn = answer.text.length;
      wait = Math.max(FRAME_MS, (performance.now() - began) / DRAWING);
    };
    for await (const { data } of eventsOf(response)) {
      if (data === "[DONE]") break;
      take(answer, JSON.parse(data));
      asked ??= setTimeout(() => ((asked = null), draw()), wait);
    }
    draw();
    if (answer.finish === null) throw new Error("The answer broke off.");
  }
}

/** Raises the error that a stream ends with. */
function take(answer, chunk) {
  if (chunk.error) throw new Error(chunk.error.message);
  answer.usage = chunk.usage ?? answer.usage;
  const choice = chunk.choices?.[0];
  if (!choice) return;
  answer.text += choice.delta?.content ?? "";
  answer.finish = choice.finish_reason ?? answer.finish;
}

function ending({ finish, usage, started }) {
  const took = span((performance.now() - started) / 1000);
  const cut = finish === "length" ? "cut at the length limit" : finish === "stop" ? null : finish;
  return [took, usage && `${number(usage.total_tokens)} tokens`, cut].filter(Boolean).join(" · ");
}
