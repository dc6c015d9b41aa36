// An application on rdflib: a store with a fetcher and an update manager, as the older Solid applications are written.
import * as $rdf from "rdflib";
import { assert, finish, login, rejection, step, subject } from "./subject.mjs";

const { alice } = subject;
const session = await login(alice);
const home = `${alice.storage}rdflib/`;
const ex = $rdf.Namespace("https://example.org/ns#");

/** Changes by N3 Patch wherever the server takes it, so that a lost race is told. */
class Careful extends $rdf.UpdateManager {
  editable(uri, store) {
    const way = super.editable(uri, store);
    return way === "SPARQL" ? "N3PATCH" : way;
  }
}

/** A store of its own with what it needs to read and change the web. */
function open(Manager = $rdf.UpdateManager) {
  const store = $rdf.graph();
  const fetcher = new $rdf.Fetcher(store, { fetch: session.fetch });
  return { store, fetcher, updater: new Manager(store) };
}

/** `updater.put` as a promise. */
const put = (updater, doc, statements) =>
  new Promise((done, failed) =>
    updater.put(doc, statements, "text/turtle", (_, ok, message) => (ok ? done() : failed(new Error(message)))));

/** The objects of one property, in order, as the server has them now. */
async function values(doc, property) {
  const { store, fetcher } = open();
  await fetcher.load(doc, { force: true });
  return store.each(it(doc), property, null, doc).map((term) => term.value).sort();
}

const it = (doc) => $rdf.sym(`${doc.value}#it`);
const doc = $rdf.sym(`${home}list.ttl`);

await step("a container is made", async () => {
  const { fetcher } = open();
  await fetcher.createContainer(alice.storage, "rdflib");
  const { store } = open();
  const reader = new $rdf.Fetcher(store, { fetch: session.fetch });
  await reader.load($rdf.sym(home));
  assert.ok(store.holds($rdf.sym(home), $rdf.sym("http://www.w3.org/1999/02/22-rdf-syntax-ns#type"), $rdf.sym("http://www.w3.org/ns/ldp#Container")));
});

await step("a document is put", async () => {
  const { updater } = open();
  await put(updater, doc, [$rdf.st(it(doc), ex("label"), $rdf.lit("a"), doc), $rdf.st(it(doc), ex("count"), $rdf.lit(1), doc)]);
  assert.deepEqual(await values(doc, ex("label")), ["a"]);
});

await step("a document that has been read is editable by patch", async () => {
  const { fetcher, updater } = open();
  await fetcher.load(doc);
  const way = updater.editable(doc);
  assert.ok(["SPARQL", "N3PATCH"].includes(way) || String(way).includes("PATCH") || way === "DAV", `editable says ${way}`);
  assert.notEqual(way, "DAV");
});

await step("statements are inserted and deleted in one update", async () => {
  const { store, fetcher, updater } = open();
  await fetcher.load(doc);
  const [old] = store.statementsMatching(it(doc), ex("label"), null, doc);
  await updater.update([old], [$rdf.st(it(doc), ex("label"), $rdf.lit("b"), doc), $rdf.st(it(doc), ex("label"), $rdf.lit("c", "nl"), doc)]);
  assert.deepEqual(await values(doc, ex("label")), ["b", "c"]);
  assert.deepEqual(store.each(it(doc), ex("label"), null, doc).map((term) => term.value).sort(), ["b", "c"]);
});

await step("an update that somebody was faster than is refused, and the local store keeps what it had", async () => {
  const slow = open(Careful);
  await slow.fetcher.load(doc);
  const quick = open(Careful);
  await quick.fetcher.load(doc);
  const which = (store) => store.statementsMatching(it(doc), ex("count"), null, doc);
  await quick.updater.update(which(quick.store), [$rdf.st(it(doc), ex("count"), $rdf.lit(2), doc)]);
  const refused = await rejection(slow.updater.update(which(slow.store), [$rdf.st(it(doc), ex("count"), $rdf.lit(3), doc)]));
  assert.match(String(refused.message ?? refused), /409/);
  assert.deepEqual(await values(doc, ex("count")), ["2"]);
  assert.deepEqual(slow.store.each(it(doc), ex("count"), null, doc).map((term) => term.value), ["1"]);
});

await step("blank nodes are inserted", async () => {
  const { fetcher, updater } = open();
  await fetcher.load(doc);
  const node = $rdf.blankNode();
  await updater.update([], [$rdf.st(it(doc), ex("place"), node, doc), $rdf.st(node, ex("label"), $rdf.lit("Gent"), doc)]);
  const { store, fetcher: reader } = open();
  await reader.load(doc, { force: true });
  const place = store.any(it(doc), ex("place"), null, doc);
  assert.equal(place.termType, "BlankNode");
  assert.equal(store.any(place, ex("label"), null, doc).value, "Gent");
});

await step("a statement of a blank node is deleted by what leads to it", async () => {
  const { store, fetcher, updater } = open();
  await fetcher.load(doc);
  const place = store.any(it(doc), ex("place"), null, doc);
  await updater.update(store.statementsMatching(place, ex("label"), null, doc), [$rdf.st(place, ex("label"), $rdf.lit("Brugge"), doc)]);
  const again = open();
  await again.fetcher.load(doc, { force: true });
  const found = again.store.any(it(doc), ex("place"), null, doc);
  assert.deepEqual(again.store.each(found, ex("label"), null, doc).map((term) => term.value), ["Brugge"]);
});

await step("several documents are changed at once", async () => {
  const { updater, fetcher } = open();
  const [one, two] = [$rdf.sym(`${home}one.ttl`), $rdf.sym(`${home}two.ttl`)];
  await put(updater, one, []);
  await put(updater, two, []);
  await fetcher.load([one, two]);
  await updater.updateMany([], [$rdf.st(it(one), ex("label"), $rdf.lit("1"), one), $rdf.st(it(two), ex("label"), $rdf.lit("2"), two)]);
  assert.deepEqual([await values(one, ex("label")), await values(two, ex("label"))], [["1"], ["2"]]);
});

await step("a patch makes a document that is not there", async () => {
  const fresh = $rdf.sym(`${home}fresh.ttl`);
  const { fetcher, updater } = open();
  await rejection(fetcher.load(fresh));
  await updater.update([], [$rdf.st(it(fresh), ex("label"), $rdf.lit("nieuw"), fresh)]);
  assert.deepEqual(await values(fresh, ex("label")), ["nieuw"]);
});

await step("documents are deleted", async () => {
  const { fetcher } = open();
  for (const name of ["list.ttl", "one.ttl", "two.ttl", "fresh.ttl"]) await fetcher.delete(`${home}${name}`);
  assert.match(String(await rejection(open().fetcher.load(doc))), /404|Not Found/);
});

finish();
