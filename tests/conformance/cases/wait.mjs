// Waiting for the worker: the steps of a scenario are written as if everything were there at once.
import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";

const flag = new SharedArrayBuffer(4);
const done = new Int32Array(flag);
const { port1, port2 } = new MessageChannel();
const worker = new Worker(new URL("./worker.mjs", import.meta.url), { workerData: { port: port2, flag }, transferList: [port2] });
worker.unref();
port1.unref();

function ask(question) {
  Atomics.store(done, 0, 0);
  port1.postMessage(question);
  if (Atomics.wait(done, 0, 0, 30_000) === "timed-out") throw new Error("the worker does not answer");
  const { value, error } = receiveMessageOnPort(port1).message;
  if (error) throw new Error(error);
  return value;
}

/** Sends a request and waits for the answer. */
export const send = (method, url, headers, body, follow = true) =>
  ask({ work: "send", method, url, headers, body: body == null ? null : String(body), follow });

/** The quads of a document, each term as text. */
export const quads = (data, type, base) =>
  ask({ work: "parse", data: typeof data === "object" ? JSON.stringify(data) : String(data), type, base });

/** Sleeps. */
export const pause = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
