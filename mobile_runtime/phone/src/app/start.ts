/** What happens when the app opens, in order; the invitation leaves the address bar first. */

import { effect } from "@preact/signals";
import { probe } from "../making/capability";
import { type Invitation, invitationOf } from "../protocol/invitation";
import type { Pairing } from "../protocol/pair";
import { NotStarted } from "../rpc";
import * as db from "../storage/db";
import { connect, wake } from "./desk";
import { follow } from "./navigate";
import { keepRuntime, leaveForKept, stayOffline } from "./offline";
import { describeProblem } from "./problems";
import { refresh, storage } from "./shelf";
import * as state from "./state";
import { guard } from "./studio";
import { language, t } from "./words";

/** Start the app. */
export async function start(): Promise<void> {
  const address = location.href;
  state.invitation.value = takeInvitation();
  if (await leaveForKept(address)) return;
  window.addEventListener("hashchange", () => {
    state.invitation.value = takeInvitation() ?? state.invitation.value;
  });
  follow();
  language.subscribe((code) => {
    document.documentElement.lang = code;
  });
  // Its worker loads while the browser is asked what it can do.
  storage();
  const capability = await probe();
  state.capability.value = capability;
  if (!capability.secure || !capability.storage) {
    state.ready.value = true;
    return;
  }
  if (!(await onlyTab())) {
    state.elsewhere.value = true;
    state.ready.value = true;
    return;
  }
  noticeCrash();
  const pairing = await openFiles();
  state.pairing.value = pairing;
  state.ready.value = true;
  if (pairing) connect(pairing);
  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake());
  await stayOffline();
  // Megabytes come only once there is a desk to make videos for.
  effect(() => {
    const plan = state.choice.value?.plan;
    if (plan && state.pairing.value && state.offline.value === "yes") void keepRuntime(plan);
  });
}

/** What is kept on this phone, and the desk that it is paired with; where it does not open, a person is asked. */
async function openFiles(): Promise<Pairing | null> {
  for (;;) {
    try {
      // A store whose program was lost on the way may come with another try.
      await refresh().catch(refresh);
      return (await db.get<Pairing>("keep", "pairing")) ?? null;
    } catch (error) {
      const text =
        error instanceof NotStarted ? t("stuck_program") : t("stuck_files", { why: describeProblem(error) });
      await new Promise<void>((again) => {
        state.stuck.value = { text, again };
      });
      state.stuck.value = null;
    }
  }
}

/** The invitation in the address, which forgets it at once: no screenshot, bookmark or history may hold it. */
function takeInvitation(): Invitation | null {
  const address = location.href;
  if (location.hash) history.replaceState(history.state, "", location.pathname);
  try {
    return invitationOf(address);
  } catch {
    state.badInvitation.value = true;
    return null;
  }
}

/** Hold the lock of the one tab that may use the storage; false where another tab has it. */
function onlyTab(): Promise<boolean> {
  return new Promise((resolve) => {
    void navigator.locks.request("pocketvideo", { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      // Held until the tab ends.
      return lock ? new Promise(() => {}) : undefined;
    });
  });
}

function noticeCrash(): void {
  const crashed = guard.settle();
  state.caution.value = guard.caution;
  if (!crashed) return;
  const text = t(guard.caution === 2 && state.capability.value?.gpu ? "crashed_wasm" : "crashed");
  state.notice.value = { tone: "bad", text };
}
