// Does what takes time for the interpreter, which is synchronous: HTTP exchanges and the parsing of RDF.
import http from "node:http";
import https from "node:https";
import { parentPort, workerData } from "node:worker_threads";
import { Parser } from "n3";
import { JsonLdParser } from "jsonld-streaming-parser";

const { port, flag } = workerData;
const done = new Int32Array(flag);
const agents = { "http:": new http.Agent({ keepAlive: true }), "https:": new https.Agent({ keepAlive: true }) };

/** One exchange; headers by lower-case name, each a list of its lines. */
function exchange({ method, headers, body }, url) {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const library = target.protocol === "https:" ? https : http;
    const sent = { ...headers };
    if (body != null) sent["Content-Length"] = Buffer.byteLength(body);
    else if (["PUT", "POST", "PATCH"].includes(method)) sent["Content-Length"] = 0;
    const request = library.request(target, { method, headers: sent, agent: agents[target.protocol], timeout: 20_000 }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        const lines = {};
        for (let i = 0; i < response.rawHeaders.length; i += 2) {
          (lines[response.rawHeaders[i].toLowerCase()] ??= []).push(response.rawHeaders[i + 1]);
        }
        resolve({ status: response.statusCode, headers: lines, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error("no answer within 20 seconds")));
    request.end(body ?? undefined);
  });
}

async function send(question) {
  let { url } = question;
  let current = question;
  for (let hops = 0; ; hops += 1) {
    const answer = await exchange(current, url);
    const moved = [301, 302, 303, 307, 308].includes(answer.status) && answer.headers.location;
    if (!question.follow || !moved || hops === 5) return answer;
    url = new URL(answer.headers.location[0], url).href;
    if (answer.status < 304 && current.method !== "HEAD") current = { ...current, method: "GET", body: null };
  }
}

/** A term as text, one for each term: IRIs in angle brackets, literals as JSON. */
function text(term) {
  if (term.termType === "NamedNode") return `<${term.value}>`;
  if (term.termType === "BlankNode") return `_:${term.value}`;
  if (term.termType === "DefaultGraph") return "";
  return JSON.stringify([term.value, term.language ?? "", term.datatype.value]);
}

const shown = (quads) => quads.map((quad) => [quad.subject, quad.predicate, quad.object, quad.graph].map(text));

function parse({ data, type, base }) {
  const baseIRI = base || "http://none.invalid/";
  if (!type.includes("json")) return shown(new Parser({ format: type, baseIRI }).parse(data));
  return new Promise((resolve, reject) => {
    const quads = [];
    const parser = new JsonLdParser({ baseIRI });
    parser.on("data", (quad) => quads.push(quad)).on("end", () => resolve(shown(quads))).on("error", reject);
    parser.end(data);
  });
}

port.on("message", async (question) => {
  let answer;
  try {
    answer = { value: question.work === "send" ? await send(question) : await parse(question) };
  } catch (error) {
    answer = { error: `${error?.message ?? error}` };
  }
  port.postMessage(answer);
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
});
parentPort?.unref?.();
