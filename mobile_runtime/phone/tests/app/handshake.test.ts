import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fromHex } from "../../src/bytes";
import { commitment, drawIdentity, proof, tokenHash, verificationCode } from "../../src/protocol/handshake";
import { invitationFromCode, invitationOf } from "../../src/protocol/invitation";

const vectors = JSON.parse(
  readFileSync(new URL("../../../../tests/vectors/pairing.json", import.meta.url), "utf8"),
) as { cases: Record<string, string>[] };

test.each(vectors.cases)("the arithmetic of pairing is the desk's: $name", async (vector) => {
  const field = (name: string) => vector[name] ?? "";
  const identity = {
    name: field("name"),
    kind: field("kind"),
    token: field("token"),
    nonce: fromHex(field("nonce")),
  };
  expect(await commitment(identity)).toBe(field("commitment"));
  expect(await tokenHash(identity)).toBe(field("token_sha256"));
  expect(await proof(identity, fromHex(field("key")), field("fingerprint"))).toBe(field("proof"));
  expect(await verificationCode(identity, field("fingerprint"), field("desk_nonce"))).toBe(
    field("verification"),
  );
});

test("two identities share nothing but the name", () => {
  const [first, second] = [drawIdentity("a"), drawIdentity("a")];
  expect(first.token).toMatch(/^[0-9a-f]{64}$/);
  expect(first.token).not.toBe(second.token);
  expect(first.nonce).not.toEqual(second.nonce);
  expect(first.kind).toBe("phone");
});

const FINGERPRINT = "ab".repeat(32);

test("an invitation is read from the address", () => {
  const read = invitationOf(`https://192.168.1.5:8189/#s=AAECAwQFBgcICQoLDA0ODw&f=${FINGERPRINT}`);
  expect(read).toEqual({
    origin: "https://192.168.1.5:8189",
    key: Uint8Array.from({ length: 16 }, (_, index) => index),
    fingerprint: FINGERPRINT,
  });
});

test("an address without an invitation has none", () => {
  expect(invitationOf("https://desk.local/")).toBeNull();
  expect(invitationOf("https://desk.local/#top")).toBeNull();
});

test.each([
  `#s=AAECAwQFBgcICQoLDA0ODw`,
  `#f=${FINGERPRINT}`,
  `#s=AAEC&f=${FINGERPRINT}`,
  `#s=AAECAwQFBgcICQoLDA0ODw&f=${FINGERPRINT.slice(2)}`,
  `#s=AAECAwQFBgcICQoLDA0OD*&f=${FINGERPRINT}`,
])("half an invitation is refused: %s", (hash) => {
  expect(() => invitationOf(`https://desk.local/${hash}`)).toThrow("not_an_invitation");
});

test("typed digits may have spaces, and nothing else", () => {
  expect(invitationFromCode("https://desk", "1234 5678").key).toEqual(new TextEncoder().encode("12345678"));
  expect(() => invitationFromCode("https://desk", "12345678x")).toThrow("not_an_invitation");
  expect(() => invitationFromCode("https://desk", "123")).toThrow("not_an_invitation");
});
