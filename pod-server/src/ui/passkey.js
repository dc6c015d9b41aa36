// The ceremony of a passkey, the one thing on these pages that a browser cannot do without script. Everything else is a
// plain form: what the device answers is put into hidden fields and sent like any other form.
"use strict";

const decoded = (text) => {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
};

const encoded = (buffer) => {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

/** The options of the server with bytes in place of their text. */
const prepared = (options) => {
  options.challenge = decoded(options.challenge);
  if (options.user) options.user.id = decoded(options.user.id);
  for (const list of [options.excludeCredentials, options.allowCredentials]) {
    for (const known of list || []) known.id = decoded(known.id);
  }
  return options;
};

/** What the device answered, as JSON for the server. */
const answered = (credential) => {
  const response = { clientDataJSON: encoded(credential.response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = encoded(credential.response[part]);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: encoded(credential.rawId),
    type: credential.type,
    response,
    extensions: {},
  });
};

const ask = async (form) => {
  const fields = new URLSearchParams({ form_token: form.elements.form_token.value });
  const begun = await fetch(form.dataset.begin, { method: "POST", body: fields, credentials: "same-origin" });
  if (!begun.ok) throw new Error("the server refused");
  const { ticket, options } = await begun.json();
  const publicKey = prepared(options);
  const credential = form.dataset.passkey === "register"
    ? await navigator.credentials.create({ publicKey })
    : await navigator.credentials.get({ publicKey });
  form.elements.ticket.value = ticket;
  form.elements.credential.value = answered(credential);
  form.submit();
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const failed = form.querySelector("[data-failed]");
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    failed.hidden = true;
    ask(form).catch(() => {
      failed.hidden = false;
    });
  });
}
