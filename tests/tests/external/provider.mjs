// An OpenID provider that others wrote, for log-ins through it: any name and password will do.
// Arguments: the path of its configuration, in JSON. It prints its issuer when it listens.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { port, clients } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients,
  claims: { openid: ['sub'], profile: ['name'] },
  conformIdTokenClaims: false,
  features: { encryption: { enabled: true } },
  pkce: { required: () => true },
  findAccount: (_, sub) => ({ accountId: sub, claims: async () => ({ sub, name: `Person ${sub}` }) }),
  cookies: { keys: ['of no importance'] },
});
createServer(provider.callback()).listen(port, '127.0.0.1', () => console.log(issuer));
