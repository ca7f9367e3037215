/** Elements made by hand. Text from outside becomes text nodes only: nothing here parses HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `tag` may carry classes, as "p.muted.small". In `props` a function is a listener ("onclick"), true and
 * false set and leave out an attribute, null leaves it out, and "value" sets the property.
 */
export function h(tag, props = {}, ...children) {
  return build(document.createElement.bind(document), tag, props, children);
}

/** The same for SVG. */
export function s(tag, props = {}, ...children) {
  return build((name) => document.createElementNS(SVG, name), tag, props, children);
}

function build(create, tag, props, children) {
  const [name, ...classes] = tag.split(".");
  const element = create(name);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) set(element, key, value);
  element.append(...nodes(children));
  return element;
}

function set(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(key.slice(2), value);
  else if (key === "class") element.classList.add(...value.split(" ").filter(Boolean));
  else if (key === "value" || key === "checked") element[key] = value;
  else element.setAttribute(key, value === true ? "" : String(value));
}

/** What `append` takes: no null, no false, lists flattened. */
function nodes(children) {
  return children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Puts these in the place of all that `parent` holds; what it holds already is not moved, and so keeps the focus. */
export function fill(parent, ...children) {
  const wanted = nodes(children);
  const held = parent.childNodes;
  if (wanted.length !== held.length || wanted.some((each, i) => each !== held[i])) parent.replaceChildren(...wanted);
  return parent;
}

/**
 * Makes the children of `parent` those of `entries`, in order: `{key, value, make}`. An element whose value is the same
 * as before stays as it is, so that neither focus nor a selection is lost. Returns the keys that are new.
 */
export function sync(parent, entries) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const added = [];
  const after = entries.map(({ key, value, make }) => {
    const written = JSON.stringify(value);
    const old = before.get(key);
    if (old?.written === written) return old;
    const made = make();
    made.dataset.key = key;
    made.written = written;
    if (old === undefined) added.push(key);
    else takeFocus(old, made);
    return made;
  });
  if (after.length !== parent.children.length || after.some((each, i) => parent.children[i] !== each)) {
    const active = document.activeElement;
    parent.replaceChildren(...after);
    if (parent.contains(active)) active.focus({ preventScroll: true });
  }
  return added;
}

/** The same; what takes the place of an element with the focus gets it. */
export function refill(parent, ...children) {
  const at = stopsIn(parent).indexOf(document.activeElement);
  fill(parent, ...children);
  if (at >= 0) stopsIn(parent)[at]?.focus({ preventScroll: true });
  return parent;
}

/** The element that replaces one with the focus gets it, at the same place. */
function takeFocus(old, made) {
  const at = stopsIn(old).indexOf(document.activeElement);
  if (at >= 0) queueMicrotask(() => stopsIn(made)[at]?.focus({ preventScroll: true }));
}

const stopsIn = (element) => [...element.querySelectorAll("a, button, input, select, textarea")];
