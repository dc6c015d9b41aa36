// What every script here needs: the server under test, people who log in, and steps that are counted.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import { Session } from "@inrupt/solid-client-authn-node";

export { assert };

/** Written by the test that starts the server: its URLs and two people with client credentials. */
export const subject = JSON.parse(readFileSync(process.env.SUBJECT, "utf8"));

/** Logs a person in with client credentials. */
export async function login(person) {
  const session = new Session();
  await session.login({
    oidcIssuer: subject.issuer,
    clientId: person.clientId,
    clientSecret: person.clientSecret,
    clientName: "Meent conformance",
  });
  assert.equal(session.info.isLoggedIn, true, "the session is logged in");
  assert.equal(session.info.webId, person.webId, "the session knows its WebID");
  return session;
}

let failures = 0;

/** Runs one step and reports it in one line; later steps run all the same. */
export async function step(name, work) {
  try {
    await work();
    console.log(`ok ${name}`);
  } catch (error) {
    failures += 1;
    const status = error?.statusCode ?? error?.response?.status ?? error?.status;
    const told = `${error?.message ?? error}`.replaceAll("\n", " ").slice(0, 600);
    console.log(`FAIL ${name}: ${status ? `${status} ` : ""}${told}`);
  }
}

/** What a promise is rejected with; fails when it is kept. */
export async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected a refusal, got ${JSON.stringify(value)?.slice(0, 200)}`);
}

/** Ends the process: open sockets of a library shall not keep it. */
export function finish() {
  process.exit(failures === 0 ? 0 : 1);
}
