/** The device's side of pairing arithmetic (docs/protocol.md section 4); tests/vectors/pairing.json holds it. */

import { type Bytes, hex, randomBytes, sha256, utf8 } from "../bytes";

/** What a device draws for one pairing: its name, its future token (64 hex digits) and its nonce. */
export interface Identity {
  readonly name: string;
  readonly kind: string;
  readonly token: string;
  readonly nonce: Bytes;
}

/** A fresh identity: 256 random bits of token, 128 of nonce. */
export function drawIdentity(name: string): Identity {
  return { name, kind: "phone", token: hex(randomBytes(32)), nonce: randomBytes(16) };
}

/** The hash that fixes the nonce before the desk's is known. */
export function commitment(identity: Identity): Promise<string> {
  return sha256(identity.nonce);
}

/** What the desk keeps of the token. */
export function tokenHash(identity: Identity): Promise<string> {
  return sha256(utf8(identity.token));
}

/** HMAC-SHA256 over the introduction, bound to the authority that this device sees. */
export async function proof(identity: Identity, key: Bytes, fingerprint: string): Promise<string> {
  const message = lines(
    "pocketvideo-pair-1",
    fingerprint,
    await commitment(identity),
    await tokenHash(identity),
    identity.name,
    identity.kind,
  );
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  return hex(new Uint8Array(await crypto.subtle.sign("HMAC", imported, message)));
}

/** Six digits to compare with the desk's screen. */
export async function verificationCode(
  identity: Identity,
  fingerprint: string,
  deskNonce: string,
): Promise<string> {
  const message = lines(
    "pocketvideo-verify-1",
    fingerprint,
    hex(identity.nonce),
    deskNonce,
    await tokenHash(identity),
    identity.name,
    identity.kind,
  );
  const digest = await crypto.subtle.digest("SHA-256", message);
  const number = new DataView(digest).getBigUint64(0) % 1_000_000n;
  return number.toString().padStart(6, "0");
}

function lines(...parts: string[]): Bytes {
  return utf8(parts.join("\n"));
}
