/** A place to try things: a chat that streams, or messages of the relay with a built-in inbox for their callbacks. */

import { fill, h } from "../dom.js";
import { Chat } from "../parts/chat.js";
import { commands } from "../parts/commands.js";
import { area, field, input } from "../parts/fields.js";
import { modelList } from "../parts/model_list.js";
import { card, head } from "../parts/notice.js";
import { Relay } from "../parts/relay.js";
import { changed } from "../router.js";

export const title = "Playground";

/** Parameters that a request has anyway: another value of theirs would be lost, or is refused. */
const OWN = { "": ["messages", "model", "stream", "stream_options", "system"], webhook: ["messages", "model", "stream", "n"] };

const MODES = [
  ["", "Chat", "The answer streams to this page; nothing is stored."],
  [
    "webhook",
    "Webhook",
    "The message is stored; its answer comes to the inbox of this page, as it would come to your receiver.",
  ],
];

export async function page(view) {
  const mode = MODES.find(([name]) => name === view.query.get("by")) ?? MODES[0];
  const settings = settingsOf(mode[0], view);
  const Talk = mode[0] === "webhook" ? Relay : Chat;
  const talk = new Talk(view, settings);
  const samples = commands(view.session, (key) => talk.samples(key));
  const side = h(
    "div.stack",
    {},
    card("Settings", h("div.card-body", {}, settings.element)),
    card("The same as code", h("div.card-body", {}, samples.element)),
  );
  fill(
    view.root,
    head("Playground", mode[2], switcher(mode[0])),
    h("div.columns.play", { oninput: samples.draw }, talk.element, side),
    modelList(view),
  );
  talk.focus();
  if (talk.prepare) view.again(() => talk.prepare().then(samples.draw));
}

function switcher(current) {
  const links = MODES.map(([name, words]) => {
    const here = name === current ? { "aria-current": "page" } : {};
    return h("a", { href: changed("", { by: name }), ...here }, words);
  });
  return h("nav.switch", { "aria-label": "How to ask" }, links);
}

/** The fields beside the talk. `check` is whether they may be sent; `read` gives those that hold something, by the names of the API. */
function settingsOf(mode, view) {
  const model = input({ list: "models", placeholder: view.session.default_model ?? "The default model" });
  const system = area({ placeholder: "You are a helpful assistant.", rows: 2 });
  const temperature = input({ type: "number", min: 0, max: 2, step: "any", placeholder: "Default" });
  const longest = input({ type: "number", min: 1, step: 1, placeholder: "Default" });
  const more = jsonArea(OWN[mode]);
  const url = input({ type: "url", placeholder: "The inbox of this page" });
  const fields = [
    field("Model", model),
    field("System prompt", system),
    h("div.pair", {}, field("Temperature", temperature), field("Max. tokens", longest)),
    field("More parameters", more.element, "A JSON object, such as {\"top_p\": 0.9, \"seed\": 7}."),
  ];
  const read = () => ({
    model: model.value.trim(),
    system: system.value.trim(),
    temperature: temperature.value === "" ? "" : Number(temperature.value),
    max_tokens: longest.value === "" ? "" : Number(longest.value),
  });
  /** The browser says at the first field what is wrong with it. */
  const check = () => [model, temperature, longest, more.element, url].every((each) => each.reportValidity());
  if (mode !== "webhook") return { element: h("div.form", {}, fields), check, read: () => ({ ...given(read()), ...more.read() }) };
  const session = input({ value: "playground" });
  fields.unshift(
    field("Conversation", session, "Its session_id. Messages with the same one are answered in order and remembered."),
  );
  fields.push(field("Callback URL", url, "Empty: the answer comes to this page."));
  const all = () => {
    const fields = { ...read(), session_id: session.value.trim(), callback_url: url.value.trim() };
    return given({ ...fields, params: more.element.value.trim() ? more.read() : "" });
  };
  return { element: h("div.form", {}, fields), check, read: all };
}

/** A field for a JSON object without the fields `own`; the browser marks what is none. `read` gives no field of that. */
function jsonArea(own) {
  const element = area({ rows: 2, placeholder: "{}" });
  const parsed = () => {
    try {
      return JSON.parse(element.value || "{}");
    } catch {
      return null;
    }
  };
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const problem = () => {
    const value = parsed();
    if (!isObject(value)) return "This is no JSON object.";
    const name = own.find((each) => Object.hasOwn(value, each));
    return name ? `Leave out "${name}": this page sets it.` : "";
  };
  const read = () => (problem() ? {} : parsed());
  element.addEventListener("input", () => element.setCustomValidity(problem()));
  return { element, read };
}

const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
