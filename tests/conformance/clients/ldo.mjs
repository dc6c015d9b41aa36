// An application on @ldo/solid: linked data objects that are read from and committed to a pod.
import ldo from "@ldo/solid";
import { assert, finish, login, step, subject } from "./subject.mjs";

const { changeData, commitData, createSolidLdoDataset } = ldo;
const { alice, bob } = subject;
const session = await login(alice);
const home = `${alice.storage}ldo/`;
const note = `${home}note.ttl`;

/** The shape of a note: a text, a number, and any number of links. */
const Note = {
  shape: "https://example.org/shapes#Note",
  schema: {
    "@context": "http://www.w3.org/ns/shex.jsonld",
    type: "Schema",
    shapes: [{
      id: "https://example.org/shapes#Note",
      type: "ShapeDecl",
      shapeExpr: { type: "Shape" },
    }],
  },
  context: {
    name: { "@id": "https://schema.org/name", "@type": "http://www.w3.org/2001/XMLSchema#string" },
    position: { "@id": "https://schema.org/position", "@type": "http://www.w3.org/2001/XMLSchema#integer" },
    about: { "@id": "https://schema.org/about", "@type": "@id", "@isCollection": true },
  },
};

/** A data set that knows nothing yet. */
const open = () => createSolidLdoDataset({ fetch: session.fetch });

/** What a call gave; its error as an exception. */
function sound(result) {
  if (result?.isError) throw new Error(`${result.type}: ${result.message}`);
  return result;
}

await step("the storage is found from the WebID", async () => {
  const found = sound(await open().getStorageFromWebId(alice.webId));
  assert.deepEqual(found.storageContainers.map((container) => container.uri), [alice.storage]);
});

await step("the root is found from a resource", async () => {
  const root = sound(await open().getResource(alice.webId).getRootContainer());
  assert.equal(root.uri, alice.storage);
});

await step("containers and documents are made", async () => {
  const root = open().getResource(alice.storage);
  const container = sound(await root.createChildIfAbsent("ldo/")).resource;
  sound(await container.createChildAndOverwrite("note.ttl"));
  assert.deepEqual(sound(await container.read()).resource.children().map((child) => child.uri), [note]);
});

await step("an object is committed and read back", async () => {
  const dataset = open();
  const resource = dataset.getResource(note);
  sound(await resource.read());
  const draft = dataset.createData(Note, `${note}#it`, resource);
  draft.name = "Telling";
  draft.position = 7;
  sound(await commitData(draft));
  const again = open();
  sound(await again.getResource(note).read());
  const read = again.usingType(Note).fromSubject(`${note}#it`);
  assert.deepEqual([read.name, read.position], ["Telling", 7]);
});

await step("a change replaces the old value", async () => {
  const dataset = open();
  const resource = dataset.getResource(note);
  sound(await resource.read());
  const draft = changeData(dataset.usingType(Note).fromSubject(`${note}#it`), resource);
  draft.position = 8;
  sound(await commitData(draft));
  const again = open();
  sound(await again.getResource(note).read());
  assert.equal(again.usingType(Note).fromSubject(`${note}#it`).position, 8);
});

await step("files are uploaded and read", async () => {
  const container = open().getResource(home);
  sound(await container.uploadChildAndOverwrite("photo.png", new Blob(["png?"], { type: "image/png" }), "image/png"));
  const file = open().getResource(`${home}photo.png`);
  sound(await file.read());
  assert.equal(file.isBinary(), true);
  assert.equal(file.getMimeType(), "image/png");
  assert.equal(await file.getBlob().text(), "png?");
});

await step("access rules are read and written", async () => {
  const resource = open().getResource(note);
  const inherited = sound(await resource.getWac({ ignoreCache: true })).wacRule;
  assert.equal(inherited.agent[alice.webId]?.control, true);
  const rule = { ...inherited, agent: { ...inherited.agent, [bob.webId]: { read: true, append: false, write: false, control: false } } };
  sound(await resource.setWac(rule));
  const written = sound(await open().getResource(note).getWac({ ignoreCache: true })).wacRule;
  assert.equal(written.agent[bob.webId]?.read, true);
});

await step("a container is cleared and removed", async () => {
  const container = open().getResource(home);
  sound(await container.read());
  sound(await container.delete());
  assert.equal(sound(await open().getResource(home).read()).type, "absentReadSuccess");
});

finish();
