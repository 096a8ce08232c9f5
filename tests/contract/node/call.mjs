// Calls one method of the Portkey SDK: node call.mjs OPTIONS METHOD ARGUMENTS, where OPTIONS and ARGUMENTS are JSON.
// Prints {"answer": …}, or for an error that the SDK throws {"error": {type, status, message}}.
import { Portkey } from 'portkey-ai';

const [options, method, given] = process.argv.slice(2);
const resources = method.split('.');
const name = resources.pop();
const portkey = new Portkey(JSON.parse(options));
const resource = resources.reduce((within, part) => within[part], portkey);

let outcome;
try {
  outcome = { answer: await resource[name](...JSON.parse(given)) };
} catch (error) {
  outcome = { error: { type: error.constructor.name, status: error.status, message: error.message } };
}
console.log(JSON.stringify(outcome));
