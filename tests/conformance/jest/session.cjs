// Takes the place of `solid-auth-fetcher` in the older suites: that library logs in with a cookie of one particular server.
// The `cookie` names a person of the subject; without one the requests carry no credentials.
const crypto = require("node:crypto");
const { readFileSync } = require("node:fs");
const fetch = require("node-fetch");

const subject = JSON.parse(readFileSync(process.env.SUBJECT, "utf8"));
const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const sha256 = (text) => crypto.createHash("sha256").update(text).digest("base64url");

class Session {
  constructor(person) {
    this.person = person;
    this.key = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { kty, crv, x, y } = this.key.publicKey.export({ format: "jwk" });
    this.jwk = { kty, crv, x, y };
  }

  proof(method, url, token) {
    const head = encoded({ alg: "ES256", typ: "dpop+jwt", jwk: this.jwk });
    const { origin, pathname } = new URL(url);
    const ath = token ? { ath: sha256(token) } : {};
    const claims = encoded({ jti: crypto.randomUUID(), htm: method, htu: `${origin}${pathname}`, iat: Math.floor(Date.now() / 1000), ...ath });
    const signature = crypto.sign("sha256", Buffer.from(`${head}.${claims}`), { key: this.key.privateKey, dsaEncoding: "ieee-p1363" });
    return `${head}.${claims}.${signature.toString("base64url")}`;
  }

  async token() {
    const configuration = await (await fetch(`${subject.issuer}.well-known/openid-configuration`)).json();
    const endpoint = configuration.token_endpoint;
    const pair = [this.person.clientId, this.person.clientSecret].map(encodeURIComponent).join(":");
    const answer = await fetch(endpoint, {
      method: "POST",
      headers: {
        authorization: `Basic ${Buffer.from(pair).toString("base64")}`,
        "content-type": "application/x-www-form-urlencoded",
        dpop: this.proof("POST", endpoint),
      },
      body: "grant_type=client_credentials&scope=webid",
    });
    return (await answer.json()).access_token;
  }

  async fetch(url, options = {}) {
    this.access ??= this.token();
    const token = await this.access;
    const headers = new fetch.Headers(options.headers);
    headers.set("authorization", `DPoP ${token}`);
    headers.set("dpop", this.proof((options.method ?? "GET").toUpperCase(), `${url}`, token));
    return fetch(url, { ...options, headers });
  }
}

/** What the suites make an instance of, only to give it a `fetch` of their own. */
exports.default = class {};

/** The token without its scheme, as the library gives it, and a proof. */
exports.getAuthHeaders = async (url, method, session) => {
  session.access ??= session.token();
  const token = await session.access;
  return { Authorization: token, DPoP: session.proof(method, url, token) };
};

exports.getAuthFetcher = async (issuer, cookie) => {
  const person = subject[cookie];
  return person ? new Session(person) : { fetch: (url, options) => fetch(url, options) };
};
exports.getNodeSolidServerCookie = async () => "";
