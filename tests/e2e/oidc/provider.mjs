// A provider of OpenID Connect on loopback: oidc-provider with its own pages, where any address logs in.
// node provider.mjs PORT REDIRECT_URI...   (its package stands in NODE_PATH's parent: see tests/e2e/test_login.py)
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(process.env.OIDC_PACKAGES + '/');
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const [port, ...redirects] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id: 'bright-run', client_secret: process.env.OIDC_CLIENT_SECRET, redirect_uris: redirects,
    post_logout_redirect_uris: redirects }],
  cookies: { keys: ['only for tests'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false, // the address stands in the id token, where Streamlit looks for it
  pkce: { required: () => false },
  features: { devInteractions: { enabled: true } },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, email: id, email_verified: !id.startsWith('unverified'), name: id.split('@')[0] }),
  }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
