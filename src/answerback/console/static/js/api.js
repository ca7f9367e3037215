/** The routes of the service, as any client calls them; docs/reference/http.md lists them. */

import { hear } from "./clock.js";

/** A response that is no success. `code` is the service's, `retryAfter` in seconds. */
export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export const unreachable = () => new ApiError(0, "unreachable", "The service cannot be reached. Is it running?");

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body = {}, options = {}) => call("POST", path, { body, ...options });
export const remove = (path, query) => call("DELETE", path, { query });

/** The decoded body of a success, null where there is none. Raises ApiError; a 401 also signs out. */
export async function call(method, path, options = {}) {
  const response = await send(method, path, options);
  const text = await response.text().catch(cut);
  return text ? JSON.parse(text) : null;
}

/** The response of a success, unread. */
export async function send(method, path, { query, body, headers = {}, signal } = {}) {
  const isForm = body instanceof FormData;
  const asked = Date.now();
  let response;
  try {
    response = await fetch(path + written(query), {
      method,
      signal,
      headers: body === undefined || isForm ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined || isForm ? body : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (error) {
    cut(error);
  }
  hear(response.headers.get("Date"), asked);
  if (response.ok) return response;
  const failure = await failureOf(response);
  if (failure.status === 401) dispatchEvent(new CustomEvent("signed-out"));
  throw failure;
}

function cut(error) {
  throw error.name === "AbortError" ? error : unreachable();
}

function broken(error) {
  throw error.name === "AbortError" ? error : new ApiError(0, "unreachable", "The connection to the service broke off.");
}

/** A fresh Idempotency-Key. `crypto.randomUUID` is not there for pages that come over http from another host. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");

const hex = (byte) => byte.toString(16).padStart(2, "0");

/** The query without what is empty. */
export function written(query = {}) {
  const given = Object.entries(query ?? {}).filter(
    ([, value]) => value !== "" && value !== null && value !== undefined,
  );
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function failureOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    const { error, detail } = await response.json();
    const message = error?.message ?? (typeof detail === "string" ? detail : response.statusText);
    return new ApiError(response.status, error?.code ?? error?.type ?? "error", message, retryAfter);
  } catch {
    return new ApiError(response.status, "error", `The service answered ${response.status}.`, retryAfter);
  }
}

/** The server-sent events of a response, `{event, data}` each; `data` is text. */
export async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(broken);
    if (done) return;
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const read = eventOf(block);
      if (read) yield read;
    }
  }
}

function eventOf(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const value = line.slice(at + 1).replace(/^ /, "");
    if (line.slice(0, at) === "data") data.push(value);
    if (line.slice(0, at) === "event") event = value;
  }
  return data.length ? { event, data: data.join("\n") } : null;
}
