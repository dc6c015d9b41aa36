// A small application in the browser: logs in with the issuer that its address names, and reads and writes one document.
import { getDefaultSession } from "@inrupt/solid-client-authn-browser";

const session = getDefaultSession();
const shown = (id, text) => {
  document.getElementById(id).textContent = text;
};
const settings = new URL(location.href).searchParams;
const kept = (name) => {
  const given = settings.get(name);
  if (given) localStorage.setItem(`room-${name}`, given);
  return localStorage.getItem(`room-${name}`);
};
const [issuer, resource, restore] = ["issuer", "document", "restore"].map(kept);

/** Does what a button asks, and shows what went wrong. */
function on(id, work) {
  document.getElementById(id).addEventListener("click", () => {
    work().catch((error) => shown("problem", `${error}`));
  });
}

on("login", () => session.login({ oidcIssuer: issuer, redirectUrl: new URL("/", location.href).href, clientName: "Reading room" }));
on("logout", async () => {
  await session.logout();
  shown("who", "nobody");
});
on("read", async () => {
  const answer = await session.fetch(resource);
  shown("content", answer.ok ? await answer.text() : `refused ${answer.status}`);
});
on("write", async () => {
  const answer = await session.fetch(resource, { method: "PUT", headers: { "content-type": "text/plain" }, body: "written in the browser" });
  shown("content", `${answer.status}`);
});

session
  .handleIncomingRedirect({ restorePreviousSession: restore === "yes" })
  .then((info) => {
    shown("who", info?.isLoggedIn ? info.webId : "nobody");
    document.body.dataset.ready = "yes";
  })
  .catch((error) => shown("problem", `${error}`));
