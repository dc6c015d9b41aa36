// An application on @inrupt/solid-client-notifications: hears of changes to a document and to a container, and stops listening.
import { deleteFile, getIri, getSolidDataset, getThing, overwriteFile } from "@inrupt/solid-client";
import { WebsocketNotification } from "@inrupt/solid-client-notifications";
import { assert, finish, login, rejection, step, subject } from "./subject.mjs";

const { alice, bob } = subject;
const session = await login(alice);
const mine = { fetch: session.fetch };
const home = `${alice.storage}notifications/`;
const note = `${home}note.txt`;
const write = (url, text) => overwriteFile(url, new Blob([text], { type: "text/plain" }), { ...mine, contentType: "text/plain" });

/** The gateway that the storage's description names. */
async function gatewayOf(storage) {
  const head = await session.fetch(storage, { method: "HEAD" });
  const [, description] = head.headers.get("link").match(/<([^>]+)>; rel="http:\/\/www\.w3\.org\/ns\/solid\/terms#storageDescription"/);
  const known = await getSolidDataset(description, mine);
  return getIri(getThing(known, storage), "http://www.w3.org/ns/solid/terms#notificationGateway");
}

/** A listener with its messages, once it is connected. */
async function listen(topic, options = { ...mine, gateway }) {
  const socket = new WebsocketNotification(topic, options);
  const messages = [];
  const waiting = [];
  socket.on("message", (message) => {
    messages.push(message);
    waiting.splice(0).forEach((wake) => wake());
  });
  socket.on("error", (error) => console.log(`socket: ${error.message ?? error}`));
  const connected = new Promise((done) => socket.once("connected", done));
  socket.connect();
  await connected;
  /** Waits for a message of a type about an object. */
  const heard = async (type, object) => {
    const fits = (message) => [message.type].flat().some((one) => one.endsWith(type)) && (message.object?.id ?? message.object) === object;
    while (!messages.some(fits)) await new Promise((wake) => waiting.push(wake));
    return messages.find(fits);
  };
  return { socket, heard };
}

await write(note, "one");
const gateway = await gatewayOf(alice.storage);

await step("a change of a document is heard", async () => {
  const { socket, heard } = await listen(note);
  await write(note, "two");
  assert.ok((await heard("Update", note)).published);
  await deleteFile(note, mine);
  await heard("Delete", note);
  socket.disconnect();
});

await step("the library finds the gateway by itself", async () => {
  const { socket, heard } = await listen(home, mine);
  await write(`${home}third.txt`, "one");
  await heard("Add", `${home}third.txt`);
  socket.disconnect();
});

await step("what is added to a container and taken from it is heard", async () => {
  const { socket, heard } = await listen(home);
  await write(`${home}other.txt`, "one");
  await heard("Add", `${home}other.txt`);
  await deleteFile(`${home}other.txt`, mine);
  await heard("Remove", `${home}other.txt`);
  socket.disconnect();
});

await step("who may not read cannot listen", async () => {
  const other = await login(bob);
  const socket = new WebsocketNotification(home, { fetch: other.fetch, gateway });
  await rejection(socket.connect());
  assert.notEqual(socket.status, "connected");
});

finish();
