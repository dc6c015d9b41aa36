// An application on @inrupt/solid-client with client credentials: documents, containers, files, access, conflicts.
import {
  addUrl, buildThing, createAclFromFallbackAcl, createContainerAt, createContainerInContainer, createSolidDataset,
  createThing, deleteAclFor, deleteContainer, deleteFile, deleteSolidDataset, getContainedResourceUrlAll, getContentType,
  getDatetime, getEffectiveAccess, getFile, getInteger, getPodUrlAll, getResourceInfo, getSolidDataset,
  getSolidDatasetWithAcl, getStringNoLocale, getStringWithLocale, getThing, getThingAll, getUrlAll, hasAccessibleAcl,
  hasFallbackAcl, isRawData, overwriteFile, removeThing, saveAclFor, saveFileInContainer, saveSolidDatasetAt,
  saveSolidDatasetInContainer, setAgentDefaultAccess, setAgentResourceAccess, setStringNoLocale, setThing, universalAccess,
} from "@inrupt/solid-client";
import { assert, finish, login, rejection, step, subject } from "./subject.mjs";

const { alice, bob } = subject;
const home = `${alice.storage}solid-client/`;
const schema = "https://schema.org/";

const session = await login(alice);
const other = await login(bob);
const mine = { fetch: session.fetch };
const theirs = { fetch: other.fetch };

await step("the storage is found from the WebID", async () => {
  assert.deepEqual(await getPodUrlAll(alice.webId, mine), [alice.storage]);
});

const note = `${home}deep/er/note.ttl`;
await step("a new document is stored with the containers on its way", async () => {
  const thing = buildThing(createThing({ url: `${note}#it` }))
    .addStringNoLocale(`${schema}name`, "Eerste \"telling\"\n met twee regels")
    .addStringWithLocale(`${schema}description`, "Comptage à vélo", "fr")
    .addInteger(`${schema}position`, 41)
    .addDatetime(`${schema}dateCreated`, new Date("2026-03-01T12:00:00Z"))
    .addUrl(`${schema}url`, "https://example.org/é?a=b&c=d#e")
    .build();
  const saved = await saveSolidDatasetAt(note, setThing(createSolidDataset(), thing), mine);
  assert.equal(saved.internal_resourceInfo.sourceIri, note);
  assert.deepEqual(getContainedResourceUrlAll(await getSolidDataset(`${home}deep/`, mine)), [`${home}deep/er/`]);
});

await step("the document comes back as it was", async () => {
  const thing = getThing(await getSolidDataset(note, mine), `${note}#it`);
  assert.equal(getStringNoLocale(thing, `${schema}name`), "Eerste \"telling\"\n met twee regels");
  assert.equal(getStringWithLocale(thing, `${schema}description`, "fr"), "Comptage à vélo");
  assert.equal(getInteger(thing, `${schema}position`), 41);
  assert.equal(getDatetime(thing, `${schema}dateCreated`).toISOString(), "2026-03-01T12:00:00.000Z");
  assert.deepEqual(getUrlAll(thing, `${schema}url`), ["https://example.org/é?a=b&c=d#e"]);
});

await step("a change is a patch and leaves the rest alone", async () => {
  const before = await getSolidDataset(note, mine);
  const changed = addUrl(setStringNoLocale(getThing(before, `${note}#it`), `${schema}name`, "Tweede"), `${schema}url`, alice.webId);
  await saveSolidDatasetAt(note, setThing(before, changed), mine);
  const thing = getThing(await getSolidDataset(note, mine), `${note}#it`);
  assert.equal(getStringNoLocale(thing, `${schema}name`), "Tweede");
  assert.equal(getInteger(thing, `${schema}position`), 41);
  assert.equal(getUrlAll(thing, `${schema}url`).length, 2);
});

await step("a stale change is refused and changes nothing", async () => {
  const tag = (await session.fetch(note, { method: "HEAD" })).headers.get("etag");
  const stale = await getSolidDataset(note, mine);
  const first = setThing(stale, setStringNoLocale(getThing(stale, `${note}#it`), `${schema}name`, "Derde"));
  const second = setThing(stale, setStringNoLocale(getThing(stale, `${note}#it`), `${schema}name`, "Vierde"));
  const unchanged = {
    fetch: (url, init) => session.fetch(url, { ...init, headers: { ...init?.headers, "If-Match": tag } }),
  };
  await saveSolidDatasetAt(note, first, unchanged);
  const refused = await rejection(saveSolidDatasetAt(note, second, unchanged));
  assert.equal(refused.statusCode, 412);
  const thing = getThing(await getSolidDataset(note, mine), `${note}#it`);
  assert.equal(getStringNoLocale(thing, `${schema}name`), "Derde");
});

await step("what exists is not overwritten by what is meant to be new", async () => {
  const thing = buildThing(createThing({ name: "other" })).addInteger(`${schema}position`, 1).build();
  const refused = await rejection(saveSolidDatasetAt(note, setThing(createSolidDataset(), thing), mine));
  assert.equal(refused.statusCode, 412);
});

await step("a thing is removed", async () => {
  const dataset = await getSolidDataset(note, mine);
  const kept = await saveSolidDatasetAt(note, removeThing(dataset, `${note}#it`), mine);
  assert.equal(getThingAll(kept).length, 0);
  assert.equal(getThingAll(await getSolidDataset(note, mine)).length, 0);
});

await step("containers are made, listed, and only removed when empty", async () => {
  const box = await createContainerAt(`${home}box/`, mine);
  assert.equal(box.internal_resourceInfo.sourceIri, `${home}box/`);
  const inner = await createContainerInContainer(`${home}box/`, { ...mine, slugSuggestion: "inner" });
  assert.equal(inner.internal_resourceInfo.sourceIri, `${home}box/inner/`);
  const document = await saveSolidDatasetInContainer(`${home}box/`, createSolidDataset(), { ...mine, slugSuggestion: "doc" });
  const listing = getContainedResourceUrlAll(await getSolidDataset(`${home}box/`, mine));
  assert.deepEqual(listing.sort(), [document.internal_resourceInfo.sourceIri, `${home}box/inner/`].sort());
  const refused = await rejection(deleteContainer(`${home}box/`, mine));
  assert.equal(refused.statusCode, 409);
  await deleteSolidDataset(document, mine);
  await deleteContainer(`${home}box/inner/`, mine);
  await deleteContainer(`${home}box/`, mine);
  assert.equal((await rejection(getSolidDataset(`${home}box/`, mine))).statusCode, 404);
});

const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256);
await step("files keep their bytes and their type", async () => {
  await overwriteFile(`${home}photo.png`, new Blob([bytes], { type: "image/png" }), { ...mine, contentType: "image/png" });
  const file = await getFile(`${home}photo.png`, mine);
  assert.equal(getContentType(file), "image/png");
  assert.deepEqual(new Uint8Array(await file.arrayBuffer()), bytes);
  const saved = await saveFileInContainer(home, new Blob(["a;b\n1;2\n"], { type: "text/csv" }), {
    ...mine, slug: "tellingen.csv", contentType: "text/csv",
  });
  const info = await getResourceInfo(saved.internal_resourceInfo.sourceIri, mine);
  assert.ok(isRawData(info) && getContentType(info).startsWith("text/csv"));
  await deleteFile(saved.internal_resourceInfo.sourceIri, mine);
  assert.equal((await rejection(getFile(saved.internal_resourceInfo.sourceIri, mine))).statusCode, 404);
});

await step("strangers and other people are told apart", async () => {
  assert.equal((await rejection(getFile(`${home}photo.png`))).statusCode, 401);
  assert.equal((await rejection(getFile(`${home}photo.png`, theirs))).statusCode, 403);
  assert.deepEqual(getEffectiveAccess(await getResourceInfo(`${home}photo.png`, mine)).user, {
    read: true, append: true, write: true,
  });
});

await step("access is given to one person and taken back", async () => {
  const given = await universalAccess.setAgentAccess(`${home}photo.png`, bob.webId, { read: true }, mine);
  assert.equal(given.read, true);
  assert.deepEqual(new Uint8Array(await (await getFile(`${home}photo.png`, theirs)).arrayBuffer()), bytes);
  assert.equal((await rejection(overwriteFile(`${home}photo.png`, new Blob(["x"]), theirs))).statusCode, 403);
  await universalAccess.setAgentAccess(`${home}photo.png`, bob.webId, { read: false }, mine);
  assert.equal((await rejection(getFile(`${home}photo.png`, theirs))).statusCode, 403);
});

await step("access is given to everyone and taken back", async () => {
  await universalAccess.setPublicAccess(`${home}photo.png`, { read: true }, mine);
  assert.equal((await getFile(`${home}photo.png`)).size, bytes.length);
  assert.equal((await universalAccess.getPublicAccess(`${home}photo.png`, mine)).read, true);
  await universalAccess.setPublicAccess(`${home}photo.png`, { read: false }, mine);
  assert.equal((await rejection(getFile(`${home}photo.png`))).statusCode, 401);
});

await step("a container's list counts for what is in it, until it is removed", async () => {
  const container = await getSolidDatasetWithAcl(home, mine);
  assert.ok(hasFallbackAcl(container) && hasAccessibleAcl(container));
  const own = createAclFromFallbackAcl(container);
  const rights = { read: true, append: true, write: false, control: false };
  const list = setAgentDefaultAccess(setAgentResourceAccess(own, bob.webId, rights), bob.webId, rights);
  await saveAclFor(container, list, mine);
  await getSolidDataset(note, theirs);
  const added = await saveSolidDatasetInContainer(home, createSolidDataset(), { ...theirs, slugSuggestion: "from-bob" });
  assert.ok(getContainedResourceUrlAll(await getSolidDataset(home, theirs)).includes(added.internal_resourceInfo.sourceIri));
  assert.equal((await rejection(deleteSolidDataset(added, theirs))).statusCode, 403);
  await deleteAclFor(await getSolidDatasetWithAcl(home, mine), mine);
  assert.equal((await rejection(getSolidDataset(note, theirs))).statusCode, 403);
});

await step("after logging out nothing is reachable", async () => {
  await other.logout();
  assert.equal((await rejection(getFile(`${home}photo.png`, { fetch: other.fetch }))).statusCode, 401);
});

finish();
