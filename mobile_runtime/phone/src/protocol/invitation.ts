/** What a QR code says: which desk, and what proves that this phone was asked in. */

import { type Bytes, fromBase64Url, utf8 } from "../bytes";
import { AppError } from "../errors";

/** `key` keys the proof; `fingerprint` (SHA-256 of the desk's authority) is empty for a typed code. */
export interface Invitation {
  readonly origin: string;
  readonly key: Bytes;
  readonly fingerprint: string;
}

/** The invitation in a page's address, `https://HOST:PORT/#s=SECRET&f=FINGERPRINT`, or null where there is none. */
export function invitationOf(address: string): Invitation | null {
  const url = new URL(address);
  const fields = new URLSearchParams(url.hash.slice(1));
  const secret = fields.get("s");
  const fingerprint = fields.get("f");
  if (secret === null && fingerprint === null) return null;
  if (!/^[0-9a-f]{64}$/.test(fingerprint ?? "")) throw new AppError("not_an_invitation");
  let key: Bytes;
  try {
    key = fromBase64Url(secret ?? "");
  } catch {
    throw new AppError("not_an_invitation");
  }
  if (key.byteLength !== 16) throw new AppError("not_an_invitation");
  return { origin: url.origin, key, fingerprint: fingerprint ?? "" };
}

/** An invitation from the digits that the desk shows; the desk is the one that served this page. */
export function invitationFromCode(origin: string, code: string): Invitation {
  const digits = code.replaceAll(/[\s-]/g, "");
  if (!/^[0-9]{6,12}$/.test(digits)) throw new AppError("not_an_invitation");
  return { origin, key: utf8(digits), fingerprint: "" };
}
