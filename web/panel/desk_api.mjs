// Calls the pack's routes on this ComfyUI. The header keeps other pages out (T1).
import { api } from "../../../scripts/api.js";

const PREFIX = "/pocketvideo/v1";

/** The JSON answer of a route; throws an Error with the server's sentence. */
export async function call(method, path, body = {}) {
  const options = { method, headers: { "X-PocketVideo": "1" } };
  if (method !== "GET") {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await api.fetchApi(PREFIX + path, options);
  } catch {
    throw new Error("ComfyUI does not answer: see whether it still runs.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `ComfyUI answered ${response.status}; see its log.`);
  return answer;
}
