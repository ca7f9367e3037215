/** A place to try things: a chat whose answers stream. */

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { Chat } from "../parts/chat.js";
import { code } from "../parts/code.js";
import { area, field, input } from "../parts/fields.js";
import { card, head } from "../parts/notice.js";

export const title = "Playground";

export async function page(view) {
  const models = h("datalist", { id: "models" });
  const settings = settingsOf(view);
  const samples = h("div");
  const talk = new Chat(view, settings);
  const show = () => fill(samples, code(talk.samples(), view.session.copiedKey));
  const side = h(
    "div.stack",
    {},
    card("Settings", h("div.card-body", {}, settings.element)),
    card("The same as code", h("div.card-body", {}, samples)),
  );
  fill(
    view.root,
    head("Playground", "The answer streams to this page; nothing is stored."),
    h("div.columns.play", { oninput: show }, talk.element, side),
    models,
  );
  show();
  talk.focus();
  const { data } = await get("/v1/models", null, view.signal);
  fill(
    models,
    data.map(({ id }) => h("option", { value: id })),
  );
}

/** The fields beside the talk. `read` gives those that hold something, by the names of the API. */
function settingsOf(view) {
  const model = input({ list: "models", placeholder: view.session.default_model ?? "The default model" });
  const system = area({ placeholder: "You are a helpful assistant.", rows: 2 });
  const temperature = input({ type: "number", min: 0, max: 2, step: 0.1, placeholder: "Default" });
  const longest = input({ type: "number", min: 1, step: 1, placeholder: "Default" });
  const fields = [
    field("Model", model),
    field("System prompt", system),
    h("div.pair", {}, field("Temperature", temperature), field("Max. tokens", longest)),
  ];
  const read = () => ({
    model: model.value.trim(),
    system: system.value.trim(),
    temperature: temperature.value === "" ? "" : Number(temperature.value),
    max_tokens: longest.value === "" ? "" : Number(longest.value),
  });
  return { element: h("div.form", {}, fields), read: () => given(read()) };
}

const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
