// A real OpenID Connect provider for the integration test: the certified
// oidc-provider package with its own pages for sign-in and consent. The test
// installs the package into a temporary directory and runs this there.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

// Accounts change by lines on standard input: {"sub": {"groups": [...]}} or null.
// {"$ahead": 600} sets its clock ahead of the machine's by seconds.
// QUELL_REDIRECT is where browsers are sent back to.
// Its notes about development settings are not for the line protocol below.
console.info = console.warn = () => {};
const accounts = new Map();
const clock = Date.now;
let ahead = 0;
Date.now = () => clock() + ahead * 1000;
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "quell",
      client_secret: "s3cret",
      redirect_uris: [process.env.QUELL_REDIRECT || "http://127.0.0.1:7878/v1/session/callback"],
      grant_types: ["authorization_code", "refresh_token"],
    }],
    claims: { openid: ["sub"], profile: ["name"], groups: ["groups", "hasgroups"] },
    conformIdTokenClaims: false,
    // Who may be asked again gets a refresh token.
    issueRefreshToken: async (ctx, client, code) => code.scopes.has("offline_access"),
    findAccount: async (ctx, sub) => {
      const account = accounts.get(sub);
      return account ? { accountId: sub, claims: async () => ({ sub, ...account }) } : undefined;
    },
    cookies: { keys: ["of the test"] },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
createInterface({ input: process.stdin }).on("line", (line) => {
  for (const [sub, account] of Object.entries(JSON.parse(line))) {
    if (sub === "$ahead") ahead = account;
    else if (account) accounts.set(sub, account);
    else accounts.delete(sub);
  }
  console.log("ok");
}).on("close", () => process.exit(0));
