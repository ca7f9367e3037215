/** Fields of forms, each with its label. */

import { h } from "../dom.js";

let numbered = 0;

/** A label, a control and what there is to say about it. */
export function field(name, control, about = null) {
  const id = `field-${++numbered}`;
  control.id = id;
  const said = about ? h("p.about", { id: `${id}-about` }, about) : null;
  if (said) control.setAttribute("aria-describedby", said.id);
  return h("div.field", {}, h("label", { for: id }, name), control, said);
}

export const input = (props = {}) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...props });
export const area = (props = {}) => h("textarea", { rows: 3, ...props });

/** `options`: values, or `[value, name]`. What is `chosen` by an address may be none of them: then it is one more. */
export function select(options, chosen, props = {}) {
  const named = options.map((each) => (Array.isArray(each) ? each : [each, each]));
  if (!named.some(([value]) => value === chosen)) named.push([chosen, chosen]);
  const made = named.map(([value, name]) => h("option", { value, selected: value === chosen }, name));
  return h("select", props, made);
}

export function check(name, props = {}) {
  const id = `field-${++numbered}`;
  const box = h("input", { type: "checkbox", id, ...props });
  return { box, element: h("div.check", {}, box, h("label", { for: id }, name)) };
}
