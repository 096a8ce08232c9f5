// Calls one method of the Portkey SDK: node call.mjs OPTIONS METHOD ARGUMENTS, where OPTIONS and ARGUMENTS are JSON.
// Prints {"answer": …}, or for an error that the SDK throws {"error": {type, status, message}}.
import { Portkey } from 'portkey-ai';

const [options, method, given] = process.argv.slice(2);
const [resource, name] = method.split('.');
const portkey = new Portkey(JSON.parse(options));

let outcome;
try {
  outcome = { answer: await portkey[resource][name](...JSON.parse(given)) };
} catch (error) {
  outcome = { error: { type: error.constructor.name, status: error.status, message: error.message } };
}
console.log(JSON.stringify(outcome));
