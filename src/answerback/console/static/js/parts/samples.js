/** The same message as commands of several languages. */

/** A text in a command of a shell: quoted, with nothing in it that the shell reads. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

const json = (body) => JSON.stringify(body, null, 2);

/** POST of a JSON body to a route of this service. `key` is null where none is needed. */
export function curl(path, body, key, flags = "") {
  const lines = [`curl ${flags}${location.origin}${path}`, "-H 'Content-Type: application/json'"];
  if (key) lines.push(`-H 'Authorization: Bearer ${key}'`);
  lines.push(`-d ${quoted(json(body))}`);
  return lines.join(" \\\n  ");
}

/** A message of the relay. */
export function relaySamples(body, key) {
  const authorization = key ? { Authorization: `Bearer ${key}` } : {};
  return {
    curl: curl("/webhook", body, key),
    Python: [
      "import requests",
      "",
      `accepted = requests.post(${JSON.stringify(`${location.origin}/webhook`)}, json=${python(body)}` +
        (key ? `, headers=${python(authorization)})` : ")"),
      "print(accepted.status_code, accepted.json())",
    ].join("\n"),
    Node: [
      `const accepted = await fetch(${JSON.stringify(`${location.origin}/webhook`)}, {`,
      '  method: "POST",',
      `  headers: ${JSON.stringify({ "Content-Type": "application/json", ...authorization })},`,
      `  body: JSON.stringify(${indented(json(body))}),`,
      "});",
      "console.log(accepted.status, await accepted.json());",
    ].join("\n"),
  };
}

/** What OpenAI's SDK for Python takes by its name; it refuses names that it does not know, and sends `extra_body` as it is. */
const NAMED = [
  ...["model", "messages", "stream", "temperature", "max_tokens", "max_completion_tokens", "top_p", "seed", "stop", "n"],
  ...["tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "stream_options"],
];

/** The arguments of a call of that SDK. */
function keywords(body) {
  const given = Object.entries(body);
  const rest = given.filter(([name]) => !NAMED.includes(name));
  const named = Object.fromEntries(given.filter(([name]) => NAMED.includes(name)));
  return rest.length ? { ...named, extra_body: Object.fromEntries(rest) } : named;
}

/** A streamed chat completion, by OpenAI's SDKs. */
export function chatSamples(body, key) {
  const base = JSON.stringify(`${location.origin}/v1`);
  const shown = JSON.stringify(key ?? "none");
  return {
    curl: curl("/v1/chat/completions", body, key, "-N "),
    Python: [
      "from openai import OpenAI",
      "",
      `client = OpenAI(base_url=${base}, api_key=${shown})`,
      `for chunk in client.chat.completions.create(**${python(keywords(body))}):`,
      "    if chunk.choices:",
      '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    ].join("\n"),
    Node: [
      'import OpenAI from "openai";',
      "",
      `const client = new OpenAI({ baseURL: ${base}, apiKey: ${shown} });`,
      `const stream = await client.chat.completions.create(${json(body)});`,
      'for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");',
    ].join("\n"),
  };
}

const indented = (text) => text.replaceAll("\n", "\n  ");

/** A JSON value as Python writes it. */
function python(value, depth = 0) {
  const pad = "    ".repeat(depth + 1);
  const close = "    ".repeat(depth);
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) {
    return value.length ? `[\n${value.map((each) => pad + python(each, depth + 1)).join(",\n")},\n${close}]` : "[]";
  }
  if (typeof value === "object") {
    const lines = Object.entries(value).map(
      ([name, each]) => `${pad}${JSON.stringify(name)}: ${python(each, depth + 1)}`,
    );
    return lines.length ? `{\n${lines.join(",\n")},\n${close}}` : "{}";
  }
  return JSON.stringify(value);
}
