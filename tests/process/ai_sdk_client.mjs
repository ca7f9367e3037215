// Vercel's AI SDK in its default mode, which is responses; prints what it saw. Arguments: base URL, key.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, apiKey] = process.argv.slice(2);
const model = createOpenAI({ baseURL, apiKey })("fake");
const weather = tool({
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `It rains in ${city}.`,
});

const { text } = await generateText({ model, prompt: "Answer." });
let streamed = "";
for await (const piece of streamText({ model, prompt: "Stream." }).textStream) streamed += piece;
const used = await generateText({ model, prompt: "Call.", tools: { weather }, stopWhen: stepCountIs(3) });
console.log(JSON.stringify({ text, streamed, used: used.text }));
