// Calls methods of the Portkey SDK, one for each line of its input: {"options": …, "method": …, "arguments": […]}.
// Answers each with a line: {"answer": …}, or for an error that the SDK throws {"error": {type, status, message}}.
import { createInterface } from 'node:readline';
import { Portkey } from 'portkey-ai';

for await (const line of createInterface({ input: process.stdin })) {
  const { options, method, arguments: given } = JSON.parse(line);
  const resources = method.split('.');
  const name = resources.pop();
  const resource = resources.reduce((within, part) => within[part], new Portkey(options));

  let outcome;
  try {
    outcome = { answer: await resource[name](...given) };
  } catch (error) {
    outcome = { error: { type: error.constructor.name, status: error.status, message: error.message } };
  }
  console.log(JSON.stringify(outcome));
}
