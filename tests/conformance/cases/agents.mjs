// The people of the cases: client credentials, and DPoP proofs as the official harness makes them (RS256, no `ath`).
import { generateKeyPairSync, randomBytes, randomUUID, sign } from "node:crypto";
import { send } from "./wait.mjs";

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class Agent {
  #key = generateKeyPairSync("rsa", { modulusLength: 2048 });
  #jwk = { kid: randomBytes(6).toString("hex"), use: "sig", alg: "RS256", ...this.#key.publicKey.export({ format: "jwk" }) };
  #token = null;
  #expires = 0;

  constructor(person, issuer) {
    this.person = person;
    this.issuer = issuer;
    this.webId = person.webId;
  }

  #proof(method, url) {
    const head = encoded({ alg: "RS256", typ: "dpop+jwt", jwk: this.#jwk });
    const claims = encoded({ jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000) });
    return `${head}.${claims}.${sign("sha256", Buffer.from(`${head}.${claims}`), this.#key.privateKey).toString("base64url")}`;
  }

  #access() {
    if (this.#token && this.#expires > Date.now() + 20_000) return this.#token;
    const endpoint = JSON.parse(send("GET", `${this.issuer}.well-known/openid-configuration`, {}, null).body).token_endpoint;
    const pair = [this.person.clientId, this.person.clientSecret].map(encodeURIComponent).join(":");
    const answer = send("POST", endpoint, {
      authorization: `Basic ${Buffer.from(pair).toString("base64")}`,
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
      dpop: this.#proof("POST", endpoint),
    }, "grant_type=client_credentials");
    const told = JSON.parse(answer.body);
    if (!told.access_token) throw new Error(`no token: ${answer.body}`);
    this.#token = told.access_token;
    this.#expires = Date.now() + (told.expires_in ?? 300) * 1000;
    return this.#token;
  }

  getAuthHeaders(method, url) {
    return { Authorization: `DPoP ${this.#access()}`, DPoP: this.#proof(method, url) };
  }

  send(method, url, data, headers) {
    return send(method, url, headers ?? {}, data, false);
  }

  sendAuthorized(method, url, data, headers) {
    return this.send(method, url, data, { ...headers, ...this.getAuthHeaders(method, url) });
  }
}
