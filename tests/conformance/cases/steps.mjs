// Carries out the steps of one scenario. Expressions in the files are JavaScript and run in a context of their own.
import { deepStrictEqual } from "node:assert";
import { readFileSync } from "node:fs";
import path from "node:path";
import vm from "node:vm";
import { parseFeature } from "./feature.mjs";
import { ACL, links, parse } from "./resources.mjs";
import { pause, send } from "./wait.mjs";

/** What the scenario expected and did not find. */
export class Failure extends Error {}

/** The scenario says itself that it cannot tell. */
export class CannotTell extends Error {}

export const asText = (value) => (value == null ? "" : typeof value === "string" ? value : JSON.stringify(value));
const isList = (value) => Array.isArray(value) || Object.prototype.toString.call(value) === "[object Array]";

function same(a, b) {
  try {
    deepStrictEqual(JSON.parse(JSON.stringify(a ?? null)), JSON.parse(JSON.stringify(b ?? null)));
    return true;
  } catch {
    return false;
  }
}

function has(actual, item) {
  if (typeof actual === "string") return actual.includes(String(item));
  if (isList(actual)) return [...actual].some((one) => same(one, item));
  return typeof actual === "object" && actual !== null && JSON.stringify(actual).includes(String(item));
}

/** How often a request with a condition to wait for is sent. */
const TRIES_MAX = 3;

export class Scenario {
  constructor(feature, world, variables, once) {
    Object.assign(this, { feature, world, once, headers: {}, request: { headers: {}, body: null }, follow: true, fixed: null, until: null });
    this.scope = vm.createContext({ ...this.#offered(), ...variables });
  }

  #offered() {
    const { root, agents, webIds, origin, Resource, Container } = this.world;
    const folder = path.dirname(this.feature.file);
    const scenario = this;
    return {
      rootTestContainer: root, clients: agents, webIds, config: { origin, webIds }, parse, console, URL, pause,
      SolidContainer: { create: (_, url) => new Container(url) },
      SolidResource: { create: (_, url, body, type) => new Resource(url, body, type) },
      RDF: "http://www.w3.org/1999/02/22-rdf-syntax-ns#", XSD: "http://www.w3.org/2001/XMLSchema#", LDP: "http://www.w3.org/ns/ldp#",
      ACL, FOAF: "http://xmlns.com/foaf/0.1/", SOLID: "http://www.w3.org/ns/solid/terms#",
      iri: (base, local) => `<${local === undefined ? base : base + local}>`,
      literal: (value) => JSON.stringify([String(value), "", "http://www.w3.org/2001/XMLSchema#string"]),
      resolveUri: (base, reference) => new URL(reference, base).href,
      parseLinkHeaders: () => links(this.headers),
      parseWacAllowHeader: () => wacAllow(this.headers["wac-allow"]?.[0] ?? ""),
      cantTellIf: (unclear) => {
        if (unclear) throw new CannotTell();
      },
      karate: {
        readAsString: (name) => readFileSync(path.join(folder, name), "utf8"),
        get response() {
          return { headerValues: (name) => scenario.headers[name.toLowerCase()] ?? null };
        },
        log: () => {},
        toString: asText,
        range: (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i),
        fail: (reason) => {
          throw new Failure(reason);
        },
        setup: () => {
          const first = this.feature.scenarios.find(({ tags }) => tags.includes("@setup"));
          const scene = new Scenario(this.feature, this.world, {}, new Map());
          first.steps.forEach((step) => scene.step(step));
          return scene.scope;
        },
      },
    };
  }

  evaluate(expression) {
    const text = expression.trim();
    const whole = text.startsWith("{") || /^function\b/.test(text);
    return vm.runInContext(whole ? `(${text.replace(/;$/, "")})` : text, this.scope);
  }

  /** `read('other.feature') argument`, or `name argument`. */
  #call(expression) {
    const other = expression.match(/^read\('([^']+)'\)\s*(.*)$/s);
    if (!other) {
      const [name, ...rest] = expression.split(/\s+/);
      return rest.length > 0 ? this.scope[name](this.evaluate(rest.join(" "))) : this.scope[name]();
    }
    const { karate, parseWacAllowHeader, parseLinkHeaders, ...own } = this.scope;
    const given = { ...own, ...(other[2] ? this.evaluate(other[2]) : {}) };
    const feature = parseFeature(path.join(path.dirname(this.feature.file), other[1]));
    const scene = new Scenario(feature, this.world, given, new Map());
    [...feature.background, ...feature.scenarios[0].steps].forEach((step) => scene.step(step));
    return scene.scope;
  }

  #value(expression) {
    const [, kind, called] = expression.match(/^(call|callonce)\s+(.*)$/s) ?? [];
    if (!kind) return this.evaluate(expression);
    if (kind === "call") return this.#call(called);
    if (!this.once.has(called)) this.once.set(called, this.#call(called));
    return this.once.get(called);
  }

  #match(expression) {
    const parts = expression.match(/^(header\s+\S+|.+?)\s+(!contains|contains only|contains any|contains|==|!=)\s*(.*)$/s);
    if (!parts) throw new Error(`a match that cannot be read: ${expression}`);
    const [, left, operator, right] = parts;
    const header = left.match(/^header\s+(\S+)$/);
    const actual = header ? (this.headers[header[1].toLowerCase()]?.[0] ?? null) : this.evaluate(left);
    const expected = this.evaluate(right);
    const all = isList(expected) ? [...expected].every((item) => has(actual, item)) : has(actual, expected);
    const holds = {
      "==": () => same(actual, expected),
      "!=": () => !same(actual, expected),
      contains: () => actual != null && all,
      "!contains": () => !(actual != null && all),
      "contains any": () => [...expected].some((item) => has(actual, item)),
      "contains only": () => isList(actual) && all && actual.length === expected.length,
    }[operator]();
    if (!holds) throw new Failure(`${expression}: found ${asText(actual).slice(0, 300)}, expected ${asText(expected).slice(0, 200)}`);
  }

  #send(method) {
    const headers = { ...this.fixed, ...this.request.headers };
    const typed = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
    // The official harness adds this type to text without one.
    if (typeof this.request.body === "string" && !typed) headers["Content-Type"] = "text/plain; charset=UTF-8";
    const body = this.request.body == null ? null : asText(this.request.body);
    for (let tries = 1; ; tries += 1) {
      const answer = send(method, this.url, headers, body, this.follow);
      this.headers = answer.headers;
      this.last = `${method} ${this.url} gave ${answer.status}`;
      Object.assign(this.scope, { responseHeaders: answer.headers, responseStatus: answer.status, response: content(answer.body) });
      if (!this.until || this.evaluate(this.until)) break;
      if (tries === TRIES_MAX) throw new Failure(`${this.until} never came true; ${this.last}`);
      pause(100);
    }
    this.request = { headers: {}, body: null };
    this.until = null;
  }

  /** Carries out one step. */
  step({ text, table, doc }) {
    const rules = [
      [/^table\s+(\w+)/, (name) => {
        const [head, ...rows] = table;
        this.scope[name] = rows.map((row) => Object.fromEntries(row.map((cell, i) => [head[i], this.evaluate(cell)])));
      }],
      [/^(?:def|text)\s+(\w+)\s*=\s*(.*)$/s, (name, value) => {
        this.scope[name] = value ? this.#value(value.replace(/;\s*$/, "")) : this.evaluate(doc);
      }],
      [/^string\s+(\w+)\s*=\s*(.*)$/, (name, value) => {
        this.scope[name] = asText(this.evaluate(value));
      }],
      [/^eval\b\s*(.*)$/, (code) => vm.runInContext(code || doc, this.scope)],
      [/^url\s+(.*)$/, (value) => {
        this.url = this.evaluate(value);
      }],
      [/^headers\s+(.*)$/, (value) => Object.assign(this.request.headers, this.evaluate(value))],
      [/^header\s+(\S+)\s*=\s*(.*)$/, (name, value) => {
        this.request.headers[name] = this.evaluate(value);
      }],
      [/^request\s+(.*)$/s, (value) => {
        this.request.body = this.evaluate(value);
      }],
      [/^configure\s+(\w+)\s*=\s*(.*)$/, (name, value) => {
        const set = this.evaluate(value);
        if (name === "headers") this.fixed = set;
        if (name === "followRedirects") this.follow = set;
      }],
      [/^retry until\s+(.*)$/, (condition) => {
        this.until = condition;
      }],
      [/^method\s+(\w+)$/, (method) => this.#send(method)],
      [/^status\s+(\d+)$/, (status) => {
        if (this.scope.responseStatus !== Number(status)) throw new Failure(`status ${status} expected; ${this.last}`);
      }],
      [/^match\s+(.*)$/s, (expression) => this.#match(expression)],
      [/^assert\s+(.*)$/s, (expression) => {
        if (!this.evaluate(expression)) throw new Failure(`${expression} does not hold; ${this.last}`);
      }],
      [/^print\b/, () => {}],
    ];
    for (const [form, work] of rules) {
      const parts = text.match(form);
      if (parts && !(form.source.startsWith("^table") && !table)) return work(...parts.slice(1));
    }
    return this.evaluate(text);
  }
}

/** A body as the scenarios see it: JSON as a value, all else as text. */
function content(body) {
  if (!/^\s*[[{]/.test(body)) return body;
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

function wacAllow(line) {
  const rights = { user: [], public: [] };
  for (const [, who, modes] of line.matchAll(/(\w+)\s*=\s*"\s*([^"]*)"/g)) {
    rights[who] = [...new Set([...(rights[who] ?? []), ...modes.toLowerCase().split(/\s+/).filter(Boolean)])];
  }
  return rights;
}
