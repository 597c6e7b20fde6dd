/** Pairing from the phone's side: introduce, reveal, compare, wait (docs/protocol.md section 4). */

import { hex, sha256 } from "../bytes";
import { AppError } from "../errors";
import { Desk, DeskRefused, type Fetch } from "./desk";
import { commitment, drawIdentity, proof, tokenHash, verificationCode } from "./handshake";
import type { Invitation } from "./invitation";
import { digits, record } from "./messages";

const PROTOCOL = "1.1";
const WAIT_SECONDS = 25;

/** A desk that trusts this phone. The token is kept in IndexedDB alone. */
export interface Pairing {
  readonly origin: string;
  readonly deskName: string;
  readonly deviceId: string;
  readonly deviceName: string;
  readonly token: string;
}

/** Pair with the desk of `invitation`; `show` gets the six digits as soon as they are known. */
export async function pair(
  invitation: Invitation,
  name: string,
  show: (code: string) => void,
  signal: AbortSignal,
  fetch?: Fetch,
): Promise<Pairing> {
  const desk = new Desk(invitation.origin, null, fetch);
  const authority = await desk.request("GET", "/v1/ca", { signal });
  const fingerprint = await sha256(new Uint8Array(await authority.arrayBuffer()));
  if (invitation.fingerprint && invitation.fingerprint !== fingerprint) throw new AppError("wrong_desk");
  const identity = drawIdentity(name);
  const answer = await introduce(desk, signal, {
    protocol: PROTOCOL,
    name: identity.name,
    kind: identity.kind,
    commitment: await commitment(identity),
    token_sha256: await tokenHash(identity),
    proof: await proof(identity, invitation.key, fingerprint),
  });
  const pairingId = digits(answer.pairing_id, 32);
  const deskName = record(answer.desk).name;
  await desk.json("POST", `/v1/pairings/${pairingId}/reveal`, { nonce: hex(identity.nonce) }, { signal });
  show(await verificationCode(identity, fingerprint, digits(answer.desk_nonce, 32)));
  return {
    origin: invitation.origin,
    deskName: typeof deskName === "string" ? deskName.slice(0, 64) : "",
    deviceId: await decision(desk, pairingId, signal),
    deviceName: name,
    token: identity.token,
  };
}

async function introduce(desk: Desk, signal: AbortSignal, body: object): Promise<Record<string, unknown>> {
  try {
    return await desk.json("POST", "/v1/pairings", body, { signal });
  } catch (error) {
    if (error instanceof DeskRefused && error.code === "wrong_code") throw new AppError("wrong_code");
    if (error instanceof DeskRefused && (error.status === 410 || error.status === 429)) {
      throw new AppError("pairing_expired");
    }
    throw error;
  }
}

async function decision(desk: Desk, pairingId: string, signal: AbortSignal): Promise<string> {
  for (;;) {
    let answer: Record<string, unknown>;
    try {
      answer = await desk.json("GET", `/v1/pairings/${pairingId}?wait=${WAIT_SECONDS}`, undefined, {
        signal,
      });
    } catch (error) {
      if (error instanceof DeskRefused && error.status === 404) throw new AppError("pairing_expired");
      throw error;
    }
    if (answer.state === "confirmed") return digits(answer.device_id, 16);
    if (answer.state === "refused") throw new AppError("pairing_refused");
  }
}
