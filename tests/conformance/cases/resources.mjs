// What the scenarios call by name: documents and containers of Alice, their access lists, and parsed RDF.
import { randomBytes } from "node:crypto";
import { quads, send } from "./wait.mjs";

const CONTAINS = "<http://www.w3.org/ns/ldp#contains>";
export const ACL = "http://www.w3.org/ns/auth/acl#";

/** Triples that can be asked. */
export class Model {
  constructor(triples) {
    this.triples = triples;
  }
  get members() {
    return [...new Set(this.triples.filter((t) => t[1] === CONTAINS).map((t) => t[2].slice(1, -1)))];
  }
  contains(subject, predicate, object) {
    if (subject instanceof Model) {
      if (subject.triples.length === 0) throw new Error("an empty document is contained in everything");
      return embeds(subject.triples, this.triples);
    }
    const wanted = [subject, predicate, object];
    return this.triples.some((triple) => wanted.every((term, i) => term == null || term === triple[i]));
  }
  objects(subject, predicate) {
    const found = this.triples.filter((t) => (subject == null || t[0] === subject) && (predicate == null || t[1] === predicate));
    return found.map((t) => (t[2].startsWith("<") ? t[2].slice(1, -1) : JSON.parse(t[2])[0]));
  }
  subjects(predicate, object) {
    const found = this.triples.filter((t) => (predicate == null || t[1] === predicate) && (object == null || t[2] === object));
    return found.map((t) => t[0].slice(1, -1));
  }
  asTriples() {
    return this.triples.map((t) => t.join(" ")).join("\n");
  }
}

/** Whether all of `few` is in `many` under some naming of blank nodes. */
function embeds(few, many, names = {}) {
  if (few.length === 0) return true;
  const [first, ...rest] = few;
  return many.some((candidate) => {
    const named = { ...names };
    const fits = first.every((term, i) => {
      if (!term.startsWith("_:")) return term === candidate[i];
      if (named[term] !== undefined) return named[term] === candidate[i];
      if (!candidate[i].startsWith("_:") || Object.values(named).includes(candidate[i])) return false;
      named[term] = candidate[i];
      return true;
    });
    return fits && embeds(rest, many, named);
  });
}

export const parse = (data, type, base) => new Model(quads(data, type, base));

/** The links of an answer. */
export function links(headers) {
  const single = (headers.link ?? []).flatMap((line) => line.split(/,\s*(?=<)/));
  return single.flatMap((link) => {
    const [, uri, parameters] = link.match(/^\s*<([^>]*)>(.*)$/) ?? [];
    if (uri === undefined) return [];
    const parameter = (name) => parameters.match(new RegExp(`${name}="?([^";]+)"?`, "i"))?.[1];
    return [{ uri, rel: parameter("rel") ?? null, type: parameter("type") }];
  });
}

const MODES = {
  read: "acl:Read", write: "acl:Write", append: "acl:Append",
  control: "acl:Control", controlRead: "acl:Control", controlWrite: "acl:Control",
};

/** An access list that is written down rule by rule; its owner has every right. */
class ListBuilder {
  #rules = [];
  constructor(target, owner) {
    const all = ["read", "write", "control"];
    this.setAgentAccess(target, owner, all);
    if (target.endsWith("/")) this.setInheritableAgentAccess(target, owner, all);
  }
  #add(target, scope, who, modes) {
    const named = [...new Set([...modes].map((mode) => MODES[mode] ?? `<${mode}>`))];
    const granted = named.length > 0 ? `; acl:mode ${named.join(", ")}` : "";
    this.#rules.push(`[] a acl:Authorization; acl:${scope} <${target}>; ${who}${granted}.`);
    return this;
  }
  setAgentAccess(target, webId, modes) {
    return this.#add(target, "accessTo", `acl:agent <${webId}>`, modes);
  }
  setInheritableAgentAccess(target, webId, modes) {
    return this.#add(target, "default", `acl:agent <${webId}>`, modes);
  }
  setPublicAccess(target, modes) {
    return this.#add(target, "accessTo", "acl:agentClass foaf:Agent", modes);
  }
  setInheritablePublicAccess(target, modes) {
    return this.#add(target, "default", "acl:agentClass foaf:Agent", modes);
  }
  setAuthenticatedAccess(target, modes) {
    return this.#add(target, "accessTo", "acl:agentClass acl:AuthenticatedAgent", modes);
  }
  setInheritableAuthenticatedAccess(target, modes) {
    return this.#add(target, "default", "acl:agentClass acl:AuthenticatedAgent", modes);
  }
  setGroupAccess(target, members, modes) {
    return this.#add(target, "accessTo", group(members), modes);
  }
  setInheritableGroupAccess(target, members, modes) {
    return this.#add(target, "default", group(members), modes);
  }
  build() {
    const prefixes = `@prefix acl: <${ACL}>. @prefix foaf: <http://xmlns.com/foaf/0.1/>. @prefix vcard: <http://www.w3.org/2006/vcard/ns#>.`;
    const turtle = [prefixes, ...this.#rules].join("\n");
    return { turtle, asTurtle: () => turtle };
  }
}

const group = (members) =>
  `acl:agentGroup [ a vcard:Group; vcard:hasMember ${members.map((member) => `<${member}>`).join(", ")} ]`;

let made = 0;
const fresh = () => `${randomBytes(3).toString("hex")}${(made += 1).toString(36)}`;
const good = (answer) => answer.status >= 200 && answer.status < 300;

/** The classes of resources that belong to `alice`. */
export function resourcesOf(alice) {
  const as = (method, url, headers, body) => send(method, url, { ...headers, ...alice.getAuthHeaders(method, url) }, body);

  class Resource {
    #acl = null;
    constructor(url, body, type) {
      this.url = url;
      if (body != null) this.store(as("PUT", url, { "Content-Type": type }, body));
    }
    store(answer) {
      if (!good(answer)) throw new Error(`${this.url} cannot be made: ${answer.status} ${answer.body.slice(0, 150)}`);
      this.#learn(answer.headers);
    }
    #learn(headers) {
      const link = links(headers).find(({ rel }) => rel?.split(/\s+/).includes("acl"));
      if (link) this.#acl = new URL(link.uri, this.url).href;
    }
    get aclUrl() {
      if (!this.#acl) this.#learn(as("HEAD", this.url, {}, null).headers);
      return this.#acl;
    }
    get container() {
      return new Container(new URL(this.url.endsWith("/") ? ".." : ".", this.url).href);
    }
    get accessDatasetBuilder() {
      return new ListBuilder(this.url, alice.webId);
    }
    set accessDataset(list) {
      if (!this.aclUrl) throw new Error(`${this.url} has no link to an access list`);
      const answer = as("PUT", this.aclUrl, { "Content-Type": "text/turtle" }, list.turtle);
      if (!good(answer)) throw new Error(`${this.aclUrl}: ${answer.status} ${answer.body.slice(0, 200)}`);
    }
    isStorageType() {
      const head = as("HEAD", this.url, {}, null);
      return links(head.headers).some(({ rel, uri }) => rel === "type" && uri === "http://www.w3.org/ns/pim/space#Storage");
    }
    get storageType() {
      return this.isStorageType();
    }
    delete() {
      as("DELETE", this.url, {}, null);
    }
  }

  class Container extends Resource {
    instantiate() {
      const link = '<http://www.w3.org/ns/ldp#BasicContainer>; rel="type"';
      this.store(as("PUT", this.url, { "Content-Type": "text/turtle", Link: link }, null));
      return this;
    }
    reserveContainer() {
      return new Container(`${this.url}${fresh()}/`);
    }
    createContainer() {
      return this.reserveContainer().instantiate();
    }
    reserveResource(suffix) {
      return new Resource(`${this.url}${fresh()}${suffix}`);
    }
    createResource(suffix, body, type) {
      return new Resource(`${this.url}${fresh()}${suffix}`, body, type);
    }
    listMembers() {
      return parse(as("GET", this.url, { Accept: "text/turtle" }, null).body, "text/turtle", this.url).members;
    }
  }

  return { Resource, Container };
}
